"""`report.generate`: its limits from both sides, what it refuses and why, its result, and how long ten thousand rows take."""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from subprocess import run
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from consumer import registry
from consumer.reports import content
from consumer.reports.content import MAX_CELL_CHARACTERS, content_of
from consumer.reports.payload import MAX_COLUMNS, MAX_LABELS, MAX_NUMBER, MAX_ROWS, MAX_SECTIONS, MAX_SERIES, MAX_TEXT_CHARACTERS, Report
from shared.errors import ArtifactRefusedError, PermanentFailure
from shared.ids import new_id
from shared.settings import Settings
from tests.support.handler_context import HandlerContext, run_handler

PIE = {"kind": "pie", "labels": ["a"], "series": [{"values": [1]}]}


def generate(folder: Path, payload: dict[str, Any], **options: Any) -> dict[str, Any]:
    context = HandlerContext(job_id=new_id(), resources={"settings": Settings(output_dir=folder, **options)})
    result: dict[str, Any] = asyncio.run(run_handler("report.generate", payload, context))
    return result


def checked(**payload: Any) -> content.Content:
    return content_of(msgspec.convert({"title": "T"} | payload, Report))


def is_valid(**payload: Any) -> bool:
    description = next(known for known in registry.load(Settings()).describe() if known.type == "report.generate")
    return jsonschema_rs.Draft202012Validator(dict(description.schema)).is_valid({"title": "T"} | payload)


def chart(labels: int = 1, series: int = 1, value: float = 1.0) -> dict[str, Any]:
    return {"kind": "bar", "labels": ["l"] * labels, "series": [{"values": [value] * labels}] * series}


@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        ({"title": "x" * 200}, {"title": "x" * 201}),
        ({"title": "x"}, {"title": ""}),
        ({"rows": [[]] * MAX_ROWS}, {"rows": [[]] * (MAX_ROWS + 1)}),
        ({"columns": ["c"] * MAX_COLUMNS}, {"columns": ["c"] * (MAX_COLUMNS + 1)}),
        ({"columns": ["c" * 200]}, {"columns": ["c" * 201]}),
        ({"sections": [{}] * MAX_SECTIONS}, {"sections": [{}] * (MAX_SECTIONS + 1)}),
        ({"sections": [{"text": "x" * MAX_TEXT_CHARACTERS}]}, {"sections": [{"text": "x" * (MAX_TEXT_CHARACTERS + 1)}]}),
        ({"sections": [{"heading": "x" * 200}]}, {"sections": [{"heading": "x" * 201}]}),
        ({"chart": chart(labels=MAX_LABELS)}, {"chart": chart(labels=MAX_LABELS + 1)}),
        ({"chart": chart(series=MAX_SERIES)}, {"chart": chart(series=MAX_SERIES + 1)}),
        ({"chart": chart()}, {"chart": chart(labels=0)}),
        ({"chart": chart()}, {"chart": chart(series=0)}),
        ({"chart": chart(value=MAX_NUMBER)}, {"chart": chart(value=MAX_NUMBER * 1.01)}),
        ({"chart": chart(value=-MAX_NUMBER)}, {"chart": chart(value=-MAX_NUMBER * 1.01)}),
        ({"format": "xlsx"}, {"format": "docx"}),
        ({"chart": PIE}, {"chart": PIE | {"kind": "radar"}}),
        ({"rows": [{}, []]}, {"rows": ["text"]}),
        ({}, {"author": "x"}),
        ({}, {"sections": [{"image": "x"}]}),
    ],
    ids=lambda payload: str(payload)[:40],
)
def test_limits_that_the_schema_knows(fits: dict[str, Any], exceeds: dict[str, Any]) -> None:
    """The API lets through what just fits and refuses the next, and so does the handler's own reading."""
    assert is_valid(**fits)
    assert not is_valid(**exceeds)
    msgspec.convert({"title": "T"} | fits, Report)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"title": "T"} | exceeds, Report)


def test_limits_of_all_tables_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections add up, and rows that name different columns multiply."""
    halves = [{"rows": [[1]] * (MAX_ROWS // 2)}] * 2
    assert checked(sections=halves).row_count == MAX_ROWS
    with pytest.raises(PermanentFailure, match=f"{MAX_ROWS + 1} rows"):
        checked(sections=halves, rows=[[1]])
    monkeypatch.setattr(content, "MAX_CELLS", 100)
    assert checked(rows=[[0] * 10] * 10).row_count == 10
    for too_many in ({"rows": [[0] * 10] * 10, "sections": [{"rows": [[1]]}]}, {"rows": [{str(n): 1} for n in range(11)]}):
        with pytest.raises(PermanentFailure, match="cells"):
            checked(**too_many)


def test_the_columns_that_rows_bring_along() -> None:
    """Lists may be as wide as the limit, objects name as many columns; one more fails for good."""
    assert checked(rows=[[0] * MAX_COLUMNS]).row_count == 1
    for rows in ([[0] * (MAX_COLUMNS + 1)], [{str(n): n} for n in range(MAX_COLUMNS + 1)]):
        with pytest.raises(PermanentFailure, match=f"columns: at most {MAX_COLUMNS}"):
            checked(rows=rows)


@pytest.mark.parametrize("make", [lambda text: {"rows": [[text]]}, lambda text: {"rows": [{text: 1}]}])
def test_the_length_of_a_cell(make: Any) -> None:
    """In units of UTF-16, as spreadsheets count; of values and of names."""
    for char, units in (("x", 1), ("\U0001f600", 2)):
        longest = MAX_CELL_CHARACTERS // units
        assert checked(**make(char * longest)).row_count == 1
        with pytest.raises(PermanentFailure, match=f"at most {MAX_CELL_CHARACTERS}"):
            checked(**make(char * (longest + 1)))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"rows": [[1], {"a": 1}]}, "list of objects or a list of lists"),
        ({"rows": [[1, 2]], "columns": ["a"]}, "2 values for 1 columns"),
        ({"chart": {"kind": "bar", "labels": ["a", "b"], "series": [{"name": "s", "values": [1]}]}}, "1 values in 's' for 2 labels"),
        ({"chart": PIE | {"series": [{"values": [1]}] * 2}}, "one series"),
        ({"chart": PIE | {"series": [{"values": [-1]}]}}, "negative"),
        ({"chart": PIE | {"series": [{"values": [0]}]}}, "nothing"),
    ],
)
def test_what_cannot_be_fails_for_good(tmp_path: Path, payload: dict[str, Any], reason: str) -> None:
    """With the reason, in both formats, and without a file."""
    for format_ in ("pdf", "xlsx"):
        with pytest.raises(PermanentFailure, match=reason):
            generate(tmp_path, {"title": "T", "format": format_} | payload)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("format_", "counted"), [("pdf", "pages"), ("xlsx", "sheets")])
def test_the_result(tmp_path: Path, format_: str, counted: str) -> None:
    """A reference, how many pages or sheets, how many rows."""
    result = generate(tmp_path, {"title": "T", "format": format_, "rows": [[1], [2]]})
    assert result.keys() == {"artifact", counted, "rows"}
    assert (result[counted], result["rows"]) == (1, 2)
    assert result["artifact"]["name"] == f"report.{format_}"
    [path] = (tmp_path / "artifacts").rglob("report.*")
    assert path.stat().st_size == result["artifact"]["bytes"]


def test_a_report_larger_than_an_artifact_may_be(tmp_path: Path) -> None:
    """Fails for good, and names the setting."""
    with pytest.raises(ArtifactRefusedError, match="MILLSTREAM_MAX_ARTIFACT_BYTES"):
        generate(tmp_path, {"title": "T"}, max_artifact_bytes=1000)


@pytest.mark.parametrize("format_", ["pdf", "xlsx"])
def test_ten_thousand_rows(format_: str) -> None:
    """In a process of their own: a few seconds, and less than 150 MB more than an empty report takes."""
    small, large = (_measured(format_, rows) for rows in (1, 10_000))
    assert large["seconds"] < 20, "3.6 s on a quiet machine"
    assert large["megabytes"] - small["megabytes"] < 150


def _measured(format_: str, rows: int) -> dict[str, float]:
    ended = run([sys.executable, "-m", __name__, format_, str(rows)], capture_output=True, text=True, timeout=60, check=True)
    measured: dict[str, float] = json.loads(ended.stdout)
    return measured


def _measure(format_: str, rows: int) -> None:
    from consumer.handlers.report_generate import _document, _workbook  # noqa: PLC0415

    table = [[n, f"Name {n}", "São Paulo", n * 1.5, n % 2 == 0, "a text that is broken into lines in most cells"] for n in range(rows)]
    ready, start = checked(rows=table), time.monotonic()
    size = len((_workbook(ready) if format_ == "xlsx" else _document(ready, HandlerContext()))[0])
    assert size > 1000
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.monotonic() - start, "megabytes": memory}))  # noqa: T201


if __name__ == "__main__":
    _measure(sys.argv[1], int(sys.argv[2]))
