"""A report as a workbook: a sheet for each table, its header in the first row; texts on a sheet of their own.

Rows go to disk as they come. Nothing in the data becomes a formula or a link: every cell is written as what it is.
"""

from io import BytesIO
from typing import Any

from consumer.reports.content import Block, Cell, Content, Grid
from consumer.reports.payload import Chart
from consumer.reports.sheet_names import SheetNames

__all__ = ["workbook"]

_OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_SAMPLED_ROWS = 100  # of these the widths of columns are taken
_WIDEST = 60
_TEXT_WIDTH = 100
_BESIDE_COLUMNS = 2  # between data and chart
_CHART_TYPES = {"bar": "column", "line": "line", "pie": "pie"}


def workbook(content: Content) -> tuple[bytes, int]:
    """Return the file and how many sheets it has."""
    from xlsxwriter import Workbook  # type: ignore[import-untyped]  # noqa: PLC0415

    buffer = BytesIO()
    with Workbook(buffer, _OPTIONS) as book:
        book.set_properties({"title": content.title, "author": "millstream"})
        writer = _Writer(book, content.title)
        tables = [block for block in content.blocks if block.grid or block.chart]
        if not tables or any(block.text for block in content.blocks):
            writer.add_texts(content)
        for block in tables:
            writer.add_block(block)
        sheet_count = len(book.worksheets())
    return buffer.getvalue(), sheet_count


class _Writer:
    """Adds sheets to one workbook."""

    def __init__(self, book: Any, title: str) -> None:
        self._book = book
        self._title = title
        self._names = SheetNames()
        self._bold = book.add_format({"bold": True})
        self._large = book.add_format({"bold": True, "font_size": 16})
        self._wrapped = book.add_format({"text_wrap": True, "valign": "top"})

    def add_texts(self, content: Content) -> None:
        """Title, then a heading and its text in each row."""
        sheet = self._sheet("Report")
        sheet.set_column(0, 0, _WIDEST / 2)
        sheet.set_column(1, 1, _TEXT_WIDTH)
        sheet.write_string(0, 0, content.title, self._large)
        rows = [(block.heading, piece) for block in content.blocks if block.heading or block.text for piece in _pieces(block.text)]
        for number, (heading, text) in enumerate(rows, start=2):
            sheet.write_string(number, 0, heading, self._bold)
            sheet.write_string(number, 1, text, self._wrapped)

    def add_block(self, block: Block) -> None:
        """Write a table, and a chart beside it."""
        sheet = self._sheet(block.heading or self._title)
        next_row = self._write_grid(sheet, block.grid) if block.grid else 0
        if block.chart:
            beside = (block.grid.column_count if block.grid else len(block.chart.series) + 1) + _BESIDE_COLUMNS
            self._write_chart(sheet, block.chart, next_row, beside)

    def _sheet(self, wish: str) -> Any:
        sheet = self._book.add_worksheet(self._names.next(wish))
        sheet.set_footer("&CPage &P of &N")
        return sheet

    def _write_grid(self, sheet: Any, grid: Grid) -> int:
        """Write header and rows; return the first row that is free, with one left empty."""
        for column, width in enumerate(_widths(grid)):
            sheet.set_column(column, column, width)
        first = 0
        if grid.header:
            first = 1
            for column, name in enumerate(grid.header):
                sheet.write_string(0, column, name, self._bold)
            sheet.freeze_panes(1, 0)
            sheet.autofilter(0, 0, len(grid.rows), grid.column_count - 1)
        for number, row in enumerate(grid.rows, start=first):
            for column, value in enumerate(row):
                _write(sheet, number, column, value)
        return first + len(grid.rows) + 1

    def _write_chart(self, sheet: Any, chart: Chart, first: int, beside: int) -> None:
        """A chart in a workbook shows cells: its numbers stand below the table."""
        last = first + len(chart.labels)
        for column, series in enumerate(chart.series, start=1):
            sheet.write_string(first, column, series.name, self._bold)
        for number, label in enumerate(chart.labels):
            sheet.write_string(first + 1 + number, 0, label)
            for column, series in enumerate(chart.series, start=1):
                sheet.write_number(first + 1 + number, column, series.values[number])
        drawn = self._book.add_chart({"type": _CHART_TYPES[chart.kind]})
        for column in range(1, len(chart.series) + 1):
            drawn.add_series(
                {
                    "name": [sheet.name, first, column],
                    "categories": [sheet.name, first + 1, 0, last, 0],
                    "values": [sheet.name, first + 1, column, last, column],
                }
            )
        sheet.insert_chart(0, beside, drawn)


def _write(sheet: Any, row: int, column: int, value: Cell) -> None:
    match value:
        case None:
            return
        case bool():
            sheet.write_boolean(row, column, value)
        case int() | float():
            sheet.write_number(row, column, value)
        case _:
            sheet.write_string(row, column, value)


def _widths(grid: Grid) -> list[float]:
    sample = [*([grid.header] if grid.header else []), *grid.rows[:: max(1, len(grid.rows) // _SAMPLED_ROWS)]]
    return [min(_WIDEST, 2 + max((len(str(row[column])) for row in sample), default=8)) for column in range(grid.column_count)]


def _pieces(text: str) -> list[str]:
    """Texts that are longer than a cell go on in the next row."""
    longest = 32_000
    return [text[start : start + longest] for start in range(0, len(text), longest)] or [""]
