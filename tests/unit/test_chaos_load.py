"""The jobs of a user's choice, and what the client writes down of them."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from chaos.client import Client
from chaos.journal import Journal, read
from chaos.load import chosen, numbered


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("{n}", 7),
        ("order-{n}-{n}", "order-7-7"),
        ({"id": "{n}", "lines": [{"sku": "a{n}"}, 3, None, True]}, {"id": 7, "lines": [{"sku": "a7"}, 3, None, True]}),
        ({"{n}": "{m}"}, {"{n}": "{m}"}),
    ],
)
def test_each_job_has_its_number_where_it_was_asked_for(value: Any, filled: Any) -> None:
    """A number where it stands alone, text within text; the names of fields stay."""
    assert numbered(value, 7) == filled


def test_our_own_types_get_a_number_unasked() -> None:
    """Their handlers want one, the user's may refuse what they do not know."""
    assert chosen("chaos.work", {"seconds": 1.0}, 7) == {"type": "chaos.work", "payload": {"seconds": 1.0, "n": 7}}
    assert chosen("shop.order", {"id": "{n}"}, 7) == {"type": "shop.order", "payload": {"id": 7}}


async def test_a_field_of_the_users_is_no_number_of_ours(tmp_path: Path) -> None:
    """Whatever they keep under that name."""
    with Journal(tmp_path / "journal") as journal:
        async with Client("http://127.0.0.1:1", journal, Random(1)) as client:
            await client.submit([{"type": "shop.order", "payload": {"n": [1]}}, {"type": "chaos.work", "payload": {"n": 4}}])
    sent, answer = read(tmp_path / "journal")
    assert (sent["numbers"], answer["status"], client.problem) == ([None, 4], 0, "HTTP 0")


def test_what_is_read_from_the_middle_begins_with_a_whole_event(tmp_path: Path) -> None:
    """Its writer may have come half through one when the size was asked for."""
    file = tmp_path / "recording"
    file.write_bytes(b'{"e":"a"}\n{"e":"b"}\n{"e":"c"}\n{"e":"half')
    assert [event["e"] for event in read(file)] == ["a", "b", "c"]
    assert [event["e"] for event in read(file, 10)] == ["b", "c"]
    assert [event["e"] for event in read(file, 14)] == ["c"]
