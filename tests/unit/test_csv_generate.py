"""`csv.generate`: what the file holds, that no cell is a formula, and that a file is whole or absent."""

import asyncio
import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.cells import cell, neutralised
from consumer.handlers import csv_generate
from consumer.output_file import write_output
from shared.errors import PermanentFailure
from shared.settings import Settings
from tests.support.handler_context import HandlerContext, run_handler

JOB_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def generate(folder: Path, payload: Any, **context: Any) -> dict[str, Any]:
    aside = f"file://{folder.absolute()}-artifacts"  # what lies in the folder itself is what these tests look at
    resources = {"settings": Settings(output_dir=folder, artifacts_url=aside)}
    handling = run_handler("csv.generate", payload, HandlerContext(resources=resources, **context))
    result: dict[str, Any] = asyncio.run(handling)
    return result


def text_of(payload: dict[str, Any]) -> str:
    return b"".join(csv_generate._encoded(csv_generate._table(payload))).decode()


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_an_object_becomes_keys_and_values(tmp_path: Path) -> None:
    """Any object is written as rows of key,value; the result names the file, its rows and its size, and the same file as artifact."""
    result = generate(tmp_path / "output", {"name": "Ann", "age": 41}, job_id=JOB_ID)
    written = (tmp_path / "output" / f"{JOB_ID}.csv").read_bytes()
    assert written == b"key,value\r\nname,Ann\r\nage,41\r\n"
    assert (tmp_path / "output-artifacts" / JOB_ID / f"{JOB_ID}.csv").read_bytes() == written
    reference = {
        "name": f"{JOB_ID}.csv",
        "bytes": len(written),
        "content_type": "text/csv; charset=utf-8",
        "url": f"/jobs/{JOB_ID}/artifacts/{JOB_ID}.csv",
    }
    path = str(tmp_path / "output" / f"{JOB_ID}.csv")
    assert result == {"path": path, "rows": 2, "bytes": len(written), "artifact": reference}


def test_the_path_is_under_the_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default settings the result is output/<job-id>.csv, relative to where the consumer runs."""
    monkeypatch.chdir(tmp_path)
    result = generate(Settings().output_dir, {}, job_id=JOB_ID)
    assert result["path"] == f"output/{JOB_ID}.csv"
    assert Path(result["path"]).is_file()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, "key,value\r\n"),
        ({"rows": 3}, "key,value\r\nrows,3\r\n"),
        ({"rows": [{"a": 1, "b": "x"}, {"b": None, "c": True}]}, "a,b,c\r\n1,x,\r\n,,true\r\n"),
        ({"rows": [{"a": 1, "b": 2}], "columns": ["b"]}, "b\r\n2\r\n"),
        ({"rows": [[1, 2], [3]]}, "1,2\r\n3,\r\n"),
        ({"rows": [[1], []], "columns": ["a", "b"]}, "a,b\r\n1,\r\n,\r\n"),
        ({"rows": [], "columns": ["a"]}, "a\r\n"),
        ({"rows": []}, ""),
        ({"rows": [["a,b", 'c"d', "e\r\nf"]]}, '"a,b","c""d","e\r\nf"\r\n'),
        ({"k": {"b": [1, "=x"]}}, 'key,value\r\nk,"{""b"":[1,""=x""]}"\r\n'),
        ({"=k": "=1+1"}, "key,value\r\n'=k,'=1+1\r\n"),
        ({"rows": [{"@a": -5, "b": "-5", "c": -0.5}]}, "'@a,b,c\r\n-5,'-5,-0.5\r\n"),
    ],
)
def test_what_is_written(payload: dict[str, Any], expected: str) -> None:
    """Tables of objects and of lists, chosen columns, gaps, quotes, nested values, numbers and formulas."""
    assert text_of(payload) == expected


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"rows": [1]}, "list of objects or a list of lists"),
        ({"rows": [[1], {"a": 1}]}, "list of objects or a list of lists"),
        ({"rows": [], "columns": "a"}, "`columns`"),
        ({"rows": [], "columns": [1]}, "`columns`"),
        ({"rows": [[1, 2]], "columns": ["a"]}, "2 values for 1 columns"),
        ({"rows": [], "filename": "/etc/passwd"}, "filename"),
        ({"rows": [], "columns": ["a"] * (csv_generate.MAX_COLUMNS + 1)}, "columns: at most"),
        ({"rows": [{str(n): n} for n in range(2_000)]}, "4000000 cells: at most"),
    ],
)
def test_what_cannot_be_a_table_fails_for_good(tmp_path: Path, payload: dict[str, Any], reason: str) -> None:
    """Payloads that are no table, or one too large, fail with the reason and leave no file."""
    with pytest.raises(PermanentFailure, match=reason):
        generate(tmp_path, payload)
    assert list(tmp_path.iterdir()) == []


def test_a_file_never_grows_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is checked while writing; a file that would be too large is not left behind."""
    monkeypatch.setattr(csv_generate, "MAX_BYTES", 1000)
    with pytest.raises(PermanentFailure, match="larger than 1000 bytes"):
        generate(tmp_path, {"a": "x" * 2000})
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.lists(JSON_VALUE, min_size=2, max_size=2), max_size=8))
def test_every_reader_finds_the_cells_again(rows: list[list[Any]]) -> None:
    """Whatever the values, a strict CSV reader finds the same rows of the same cells."""
    payload = json.loads(json.dumps({"rows": rows, "columns": ["a", "b"]}))
    assert read(text_of(payload)) == [["a", "b"], *([str(cell(value)) for value in row] for row in rows)]


@given(st.dictionaries(TEXT, TEXT, max_size=8))
@example({" =1+1": "\u200b+1", "\uff1d1": "\t1", "\0=1": "\0\r@x", "\ufeff-1": "\u3000=1", "\ufe63\u0301": "\n"})
def test_no_cell_starts_with_a_formula_character(payload: dict[str, str]) -> None:
    """Whatever text comes in, behind blanks or in full-width twins, no cell of the file is a formula."""
    starts = {text.replace("\ufeff", "").replace("\u200b", "").strip()[:1] for row in read(text_of(payload)) for text in row}
    assert starts.isdisjoint("=+-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b")
    assert not any(text.startswith(("\t", "\r", "\n")) or "\0" in text for row in read(text_of(payload)) for text in row)


@given(TEXT)
def test_text_is_kept_but_for_the_apostrophe(text: str) -> None:
    """Making text harmless takes nothing from it but NULs, and adds one apostrophe at most."""
    assert neutralised(text) in {text.replace("\0", ""), "'" + text.replace("\0", "")}


@pytest.mark.parametrize("job_id", ["../../etc/passwd", "", "a/b", JOB_ID + "/..", JOB_ID + "\0"])
def test_only_a_uuid_names_a_file(tmp_path: Path, job_id: str) -> None:
    """A job id that is no UUID fails for good before anything is written."""
    with pytest.raises(PermanentFailure, match="no UUID"):
        generate(tmp_path, {}, job_id=job_id)
    assert list(tmp_path.iterdir()) == []


def test_a_link_under_the_name_is_replaced_not_followed(tmp_path: Path) -> None:
    """Links that wait under the final name or under the unfinished one lead nobody to another file."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / f"{JOB_ID}.csv").symlink_to(victim)
    generate(folder, {}, job_id=JOB_ID)
    assert not (folder / f"{JOB_ID}.csv").is_symlink()
    (folder / f".{JOB_ID}.2.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        generate(folder, {}, job_id=JOB_ID, attempt=2)
    assert victim.read_text() == "untouched"


def test_a_retry_clears_what_a_killed_attempt_left(tmp_path: Path) -> None:
    """The unfinished file of an attempt that was killed is gone after the next one."""
    (tmp_path / f".{JOB_ID}.1.tmp").write_text("half")
    generate(tmp_path, {}, job_id=JOB_ID, attempt=2)
    assert [path.name for path in tmp_path.iterdir()] == [f"{JOB_ID}.csv"]


def test_nobody_ever_sees_half_a_file(tmp_path: Path) -> None:
    """While a rival is half-way the reader sees the first attempt's whole file; when it fails, that file stays."""
    path, _ = write_output(tmp_path, JOB_ID, 1, ".csv", [b"first"])

    def broken() -> Any:
        yield b"sec"
        assert path.read_bytes() == b"first"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_output(tmp_path, JOB_ID, 2, ".csv", broken())
    assert path.read_bytes() == b"first"
    assert [left.name for left in tmp_path.iterdir()] == [path.name]


def test_rivals_write_one_whole_file(tmp_path: Path) -> None:
    """Attempts of one job that run at once leave one whole file."""
    job_id = str(uuid4())
    payload = {"rows": [[n, "x" * 50] for n in range(2000)]}
    with ThreadPoolExecutor() as pool:
        rivals = [pool.submit(generate, tmp_path, payload, job_id=job_id, attempt=100 * n) for n in range(1, 5)]
    results = [rival.result() for rival in rivals]
    assert all(result == results[0] for result in results)
    [path] = tmp_path.iterdir()
    assert path.read_bytes() == text_of(payload).encode()
