"""`csv.generate`: a JSON object, or a table in one, as a CSV file (RFC 4180, UTF-8) in the output folder."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from consumer.artifact_access import artifacts_of
from consumer.cells import cell
from consumer.output_file import write_output
from shared.jobs import Context, PermanentFailure, job

MAX_ROWS = 1_048_575  # one sheet of Excel holds these and a header
MAX_COLUMNS = 16_384  # likewise
MAX_CELLS = 2_000_000  # rows that name different columns multiply: 1 MiB of JSON could ask for 10^9 cells
MAX_BYTES = 64 * 1024 * 1024
_CHUNK_CHARACTERS = 256 * 1024


class Table(NamedTuple):
    """What will be written. Every row yields `column_count` values."""

    header: Sequence[str] | None
    rows: Iterable[Sequence[Any]]
    row_count: int
    column_count: int


@job("csv.generate", aliases=("csv-generation",))
def generate(ctx: Context, payload: dict[str, Any]) -> dict[str, Any]:
    """Write `output/<job-id>.csv`; return its path, the number of rows (without the header) and of bytes, and the same file as artifact.

    `{"rows": [...], "columns": [...]}` is a table of objects or of lists; any other object becomes rows of `key,value`.
    """
    table = _table(payload)
    _check_size(table)
    folder = ctx.resources["settings"].output_dir
    path, size = write_output(folder, ctx.job_id, ctx.attempt, ".csv", _encoded(table))
    kept = artifacts_of(ctx).put(ctx.job_id, path.name, path)
    return {"path": str(path), "rows": table.row_count, "bytes": size, "artifact": kept.as_dict()}


def _table(payload: dict[str, Any]) -> Table:
    rows = payload.get("rows")
    if not isinstance(rows, list):
        return Table(("key", "value"), payload.items(), len(payload), 2)
    if unknown := sorted(payload.keys() - {"rows", "columns"}):
        raise PermanentFailure(f"beside `rows` only `columns` is understood, not {unknown[0]!r}")
    columns = _columns(payload.get("columns"))
    if all(isinstance(row, dict) for row in rows):
        return _of_objects(rows, columns)
    if all(isinstance(row, list) for row in rows):
        return _of_lists(rows, columns)
    raise PermanentFailure("`rows` must be a list of objects or a list of lists")


def _columns(value: Any) -> list[str] | None:
    if value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        return value
    raise PermanentFailure("`columns` must be a list of texts")


def _of_objects(rows: list[dict[str, Any]], columns: list[str] | None) -> Table:
    names = columns if columns is not None else list(dict.fromkeys(name for row in rows for name in row))
    return Table(names or None, ([row.get(name) for name in names] for row in rows), len(rows), len(names))


def _of_lists(rows: list[list[Any]], columns: list[str] | None) -> Table:
    widest = max(map(len, rows), default=0)
    if columns is not None and widest > len(columns):
        raise PermanentFailure(f"a row has {widest} values for {len(columns)} columns")
    width = widest if columns is None else len(columns)
    return Table(columns, (row + [None] * (width - len(row)) for row in rows), len(rows), width)


def _check_size(table: Table) -> None:
    for what, asked, most in (
        ("rows", table.row_count, MAX_ROWS),
        ("columns", table.column_count, MAX_COLUMNS),
        ("cells", table.row_count * table.column_count, MAX_CELLS),
    ):
        if asked > most:
            raise PermanentFailure(f"{asked} {what}: at most {most} fit one file")


def _encoded(table: Table) -> Iterator[bytes]:
    size = 0
    for text in _pieces(table):
        piece = text.encode()
        size += len(piece)
        if size > MAX_BYTES:
            raise PermanentFailure(f"the file would be larger than {MAX_BYTES} bytes")
        yield piece


def _pieces(table: Table) -> Iterator[str]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)  # the default dialect is RFC 4180: commas, CRLF, quotes where needed
    if table.header is not None:
        writer.writerow([cell(name) for name in table.header])
    for row in table.rows:
        writer.writerow([cell(value) for value in row])
        if buffer.tell() >= _CHUNK_CHARACTERS:
            yield _drained(buffer)
    yield _drained(buffer)


def _drained(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
