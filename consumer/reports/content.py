"""A report's content, checked and in one form, whatever it becomes: blocks of heading, text, table and chart. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from consumer.reports.payload import MAX_COLUMNS, MAX_ROWS, Chart, Report, Section
from consumer.table import Table, check_size, table_of
from shared.errors import PermanentFailure

__all__ = ["MAX_CELLS", "MAX_CELL_CHARACTERS", "Block", "Cell", "Content", "Grid", "content_of"]

MAX_CELLS = 1_000_000
MAX_CELL_CHARACTERS = 32_767  # what a cell of a spreadsheet holds, in units of UTF-16
MAX_EXACT = 10**15  # whole numbers from here on lose digits in a spreadsheet: they are written as text

Cell = str | int | float | bool | None


class Grid(NamedTuple):
    """A table of cells, every row as wide as the header, if there is one."""

    header: Sequence[str] | None
    rows: Sequence[Sequence[Cell]]
    column_count: int


class Block(NamedTuple):
    """One part of the report; what it lacks is empty or None."""

    heading: str
    text: str
    grid: Grid | None
    chart: Chart | None


class Content(NamedTuple):
    """The whole report."""

    title: str
    blocks: Sequence[Block]
    row_count: int


def content_of(report: Report) -> Content:
    """Return what the report is made of. Raises PermanentFailure for tables and charts that cannot be."""
    parts = [*_first_part(report), *report.sections]
    blocks = [*map(_block, parts)]
    rows = sum(len(block.grid.rows) for block in blocks if block.grid)
    cells = sum(len(block.grid.rows) * block.grid.column_count for block in blocks if block.grid)
    if rows > MAX_ROWS or cells > MAX_CELLS:
        raise PermanentFailure(f"{rows} rows with {cells} cells: at most {MAX_ROWS} with {MAX_CELLS} fit one report")
    return Content(report.title, blocks, rows)


def _first_part(report: Report) -> Iterator[Section]:
    if report.rows is not None or report.columns is not None or report.chart is not None:
        yield Section(rows=report.rows, columns=report.columns, chart=report.chart)


def _block(section: Section) -> Block:
    grid = None
    if section.rows is not None or section.columns is not None:
        grid = _grid(table_of(section.rows or [], section.columns))
    if section.chart is not None:
        _check_chart(section.chart)
    return Block(section.heading, section.text, grid, section.chart)


def _grid(table: Table) -> Grid:
    check_size(table, rows=MAX_ROWS, columns=MAX_COLUMNS, cells=MAX_CELLS)
    header = None if table.header is None else [_text(name) for name in table.header]
    return Grid(header, [[_cell(value) for value in row] for row in table.rows], table.column_count)


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < MAX_EXACT else str(value)
    return _text(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _text(value: str) -> str:
    length = len(value) if len(value) < MAX_CELL_CHARACTERS // 2 else len(value.encode("utf-16-le", "replace")) // 2
    if length > MAX_CELL_CHARACTERS:
        raise PermanentFailure(f"a cell has {length} characters, at most {MAX_CELL_CHARACTERS} fit one")
    return value


def _check_chart(chart: Chart) -> None:
    for series in chart.series:
        if len(series.values) != len(chart.labels):
            raise PermanentFailure(f"chart: {len(series.values)} values in {series.name!r} for {len(chart.labels)} labels")
    if chart.kind == "pie":
        _check_pie(chart)


def _check_pie(chart: Chart) -> None:
    if len(chart.series) != 1:
        raise PermanentFailure(f"chart: a pie shows one series, not {len(chart.series)}")
    values = chart.series[0].values
    if min(values) < 0 or not any(values):
        raise PermanentFailure("chart: the parts of a pie must not be negative, nor all of them nothing")
