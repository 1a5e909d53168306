"""A report as PDF: title, then every block, over as many numbered pages as it takes."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Frame, PageTemplate, Spacer
from reportlab.platypus.flowables import Flowable

from consumer.reports.charts import drawing
from consumer.reports.content import Block, Content, Grid
from consumer.reports.flow import Lines, TablePart, TableStyle, draw_line, shown
from consumer.reports.typeface import clean, typeface

__all__ = ["document"]

_MARGIN = 18 * mm
_TITLE, _HEADING, _TEXT, _SMALL = 18.0, 13.0, 10.0, 8.0
_PORTRAIT_COLUMNS = 6  # tables with more turn the pages
_COLUMNS_A_TABLE = 12  # more than those are unreadable side by side: the others follow below
_SAMPLED_ROWS = 200
_NARROWEST, _WIDEST = 30.0, 220.0
_TOGETHER = 60.0  # a heading does not stay alone above the end of a page


def document(content: Content, check: Callable[[], None] = lambda: None) -> tuple[bytes, int]:
    """Return the file and how many pages it has. `check` is called at each page, and may raise to end the work."""
    buffer = BytesIO()
    is_wide = any(block.grid and block.grid.column_count > _PORTRAIT_COLUMNS for block in content.blocks)
    size = landscape(A4) if is_wide else A4
    paper = BaseDocTemplate(buffer, pagesize=size, title=content.title, author="millstream", pageCompression=1)
    width, height = size[0] - 2 * _MARGIN, size[1] - 2 * _MARGIN
    frame = Frame(_MARGIN, _MARGIN, width, height, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)

    def number_page(canvas: Any, page: Any) -> None:
        check()
        text = f"Page {page.page}"
        x = size[0] - _MARGIN - typeface().width(text, _SMALL)
        draw_line(canvas, typeface(), text, x=x, y=_MARGIN / 2, size=_SMALL)

    paper.addPageTemplates(PageTemplate("page", [frame], onPageEnd=number_page))
    paper.build([*_flowables(content, width)])
    return buffer.getvalue(), paper.page


def _flowables(content: Content, width: float) -> Iterator[Flowable]:
    yield Lines(content.title, _TITLE, bold=True)
    yield Spacer(0, _TITLE / 2)
    for block in content.blocks:
        yield from _of_block(block, width)


def _of_block(block: Block, width: float) -> Iterator[Flowable]:
    if block.heading:
        yield CondPageBreak(_TOGETHER)
        yield Spacer(0, _HEADING / 2)
        yield Lines(block.heading, _HEADING, bold=True)
        yield Spacer(0, _HEADING / 3)
    if block.text:
        yield Lines(block.text, _TEXT)
        yield Spacer(0, _TEXT)
    if block.grid and block.grid.column_count:
        yield from _of_grid(block.grid, width)
    if block.chart:
        yield drawing(block.chart, width)
        yield Spacer(0, _TEXT)


def _of_grid(grid: Grid, width: float) -> Iterator[Flowable]:
    bands = [range(start, min(start + _COLUMNS_A_TABLE, grid.column_count)) for start in range(0, grid.column_count, _COLUMNS_A_TABLE)]
    for band in bands:
        if len(bands) > 1:
            yield Lines(f"Columns {band.start + 1} to {band.stop} of {grid.column_count}", _SMALL)
        yield CondPageBreak(_TOGETHER)
        yield TablePart(TableStyle(grid, band, _widths(grid, band, width)))
        yield Spacer(0, _TEXT)


def _widths(grid: Grid, columns: range, width: float) -> list[float]:
    """By what stands in them, as a sample of the rows tells; all of them together as wide as the page."""
    wanted = [_wanted(grid, column) for column in columns]
    scale = width / sum(wanted)
    return [one * scale for one in wanted] if scale < 1 else wanted


def _wanted(grid: Grid, column: int) -> float:
    step = max(1, len(grid.rows) // _SAMPLED_ROWS)  # from everywhere: what grows from row to row is widest at the end
    texts = [shown(row[column]) for row in (*grid.rows[::step], *grid.rows[-1:])]
    widest = max((typeface().width(clean(text[:80]), _SMALL) for text in texts), default=0.0)
    name = typeface(bold=True).width(clean(grid.header[column][:80]), _SMALL) if grid.header else 0.0
    return min(_WIDEST, max(_NARROWEST, widest + 8, name + 8))
