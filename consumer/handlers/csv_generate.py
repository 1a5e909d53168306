"""`csv.generate`: a JSON object, or a table in one, as a CSV file (RFC 4180, UTF-8) in the output folder."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from consumer.artifact_access import artifacts_of
from consumer.cells import cell
from consumer.output_file import write_output
from consumer.table import Table, check_size, table_of
from shared.jobs import Context, PermanentFailure, job

MAX_ROWS = 1_048_575  # one sheet of Excel holds these and a header
MAX_COLUMNS = 16_384  # likewise
MAX_CELLS = 2_000_000  # rows that name different columns multiply: 1 MiB of JSON could ask for 10^9 cells
MAX_BYTES = 64 * 1024 * 1024
_CHUNK_CHARACTERS = 256 * 1024


@job("csv.generate", aliases=("csv-generation",))
def generate(ctx: Context, payload: dict[str, Any]) -> dict[str, Any]:
    """Write `output/<job-id>.csv`; return its path, the number of rows (without the header) and of bytes, and the same file as artifact.

    `{"rows": [...], "columns": [...]}` is a table of objects or of lists; any other object becomes rows of `key,value`.
    """
    table = _table(payload)
    check_size(table, rows=MAX_ROWS, columns=MAX_COLUMNS, cells=MAX_CELLS)
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
    return table_of(rows, payload.get("columns"))


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
