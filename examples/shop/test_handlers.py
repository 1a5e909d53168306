"""Handlers are tested without servers: `python -m pytest examples/shop`."""
# ruff: noqa: S101 - asserts are what tests are made of

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from examples.shop.handlers import bought_together, reserve
from shared.jobs import PermanentFailure, RetryAfter
from shared.testing import run_job

TEA = {"customer": "Ada", "lines": [{"sku": "tea", "count": 2, "price": 4.5}]}


def test_what_is_there_is_reserved() -> None:
    """The result is what GET /jobs/{id} will show."""
    assert asyncio.run(run_job(reserve, TEA)) == {"tea": 2}


def test_what_is_not_there_yet_is_tried_again() -> None:
    """In half a minute, not at once."""
    with pytest.raises(RetryAfter) as caught:
        asyncio.run(run_job(reserve, {"customer": "Ada", "lines": [{"sku": "pot"}]}))
    assert caught.value.seconds == 30


@pytest.mark.parametrize("payload", [{"customer": "Ada", "lines": []}, {"customer": "Ada", "lines": [{"sku": "gold"}]}, {}])
def test_what_can_never_succeed_is_not_tried_again(payload: dict[str, object]) -> None:
    """An order that is none, or for something that nobody sells."""
    with pytest.raises(PermanentFailure):
        asyncio.run(run_job(reserve, payload))


def test_the_invoice_is_a_file(tmp_path: Path) -> None:
    """Resources are given by the test."""
    resources = {"settings": SimpleNamespace(output_dir=tmp_path)}
    result = asyncio.run(run_job("shop.invoice", TEA, job_id="17", resources=resources))
    assert result == {"path": str(tmp_path / "invoice-17.txt"), "total": 9.0}
    assert "2 x tea" in Path(result["path"]).read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["invoice-17.txt"]


def test_pairs_are_counted() -> None:
    """A handler for a process runs in this one here."""
    orders = {"baskets": [["tea", "cup"], ["cup", "tea", "pot"], ["tea"]], "top": 1}
    assert asyncio.run(run_job(bought_together, orders)) == {"baskets": 3, "pairs": [["cup", "tea", 2]]}
