"""A table as clients send it: rows that are objects or lists, columns named or not; every row brought to the same width."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from shared.errors import PermanentFailure

__all__ = ["Table", "check_size", "table_of"]


class Table(NamedTuple):
    """What will be written. Every row yields `column_count` values."""

    header: Sequence[str] | None
    rows: Iterable[Sequence[Any]]
    row_count: int
    column_count: int


def table_of(rows: list[Any], columns: Any) -> Table:
    """Return the table of these rows, in these columns if there are any. Raises PermanentFailure for what is no table."""
    names = _columns(columns)
    if all(isinstance(row, dict) for row in rows):
        return _of_objects(rows, names)
    if all(isinstance(row, list) for row in rows):
        return _of_lists(rows, names)
    raise PermanentFailure("`rows` must be a list of objects or a list of lists")


def check_size(table: Table, *, rows: int, columns: int, cells: int) -> None:
    """Raise PermanentFailure for a table with more than that. `cells` counts: rows that name different columns multiply."""
    for what, asked, most in (
        ("rows", table.row_count, rows),
        ("columns", table.column_count, columns),
        ("cells", table.row_count * table.column_count, cells),
    ):
        if asked > most:
            raise PermanentFailure(f"{asked} {what}: at most {most} fit one file")


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
