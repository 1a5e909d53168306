"""What flows over the pages of a PDF: lines of text, and tables of any length.

reportlab's Paragraph reads its text as mark-up and its Table lays out all rows anew on each page. Here text is only ever drawn,
character by character, so that nothing in it can be a command; and a row is laid out once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reportlab.lib.colors import Color, HexColor
from reportlab.platypus.flowables import Flowable

from consumer.reports.content import Cell, Grid
from consumer.reports.typeface import Typeface, clean, typeface

__all__ = ["Lines", "TablePart", "TableStyle", "draw_line"]

LEADING = 1.3
_TABLE_SIZE = 8.0
_PADDING = 3.0
_GREY, _PALE, _BLACK = HexColor(0xBBBBBB), HexColor(0xEEEEEE), HexColor(0x000000)
_MOST_HEADER_LINES = 6
_HEADER_HEIGHT_SHARE = 0.5

Row = Sequence[Sequence[str]]  # the lines of each of its cells


def draw_line(canvas: Any, face: Typeface, text: str, *, x: float, y: float, size: float, color: Color = _BLACK) -> None:
    """Draw one line of text."""
    drawn = canvas.beginText(x, y)
    drawn.setFillColor(color)
    for font, part in face.runs(text):
        drawn.setFont(font, size)
        drawn.textOut(part)
    canvas.drawText(drawn)


class Lines(Flowable):
    """Text that is broken to the width there is, and over pages."""

    def __init__(self, text: str, size: float, *, bold: bool = False, lines: Sequence[str] | None = None) -> None:
        super().__init__()
        self._text = "" if lines is not None else clean(text)
        self._size = size
        self._bold = bold
        self._face = typeface(bold=bold)
        self._lines = lines
        self._leading = size * LEADING

    def wrap(self, available_width: float, _height: float) -> tuple[float, float]:
        """Return the size that it takes."""
        if self._lines is None:
            self._lines = self._face.lines(self._text, self._size, available_width)
        return available_width, len(self._lines) * self._leading

    def split(self, available_width: float, available_height: float) -> list[Flowable]:
        """Return what fits and the rest."""
        self.wrap(available_width, available_height)
        fitting = int(available_height / self._leading)
        lines = self._lines or []
        if fitting < 1:
            return []
        return [Lines("", self._size, bold=self._bold, lines=part) for part in (lines[:fitting], lines[fitting:]) if part]

    def draw(self) -> None:
        """Draw it, its upper end at the top."""
        lines = self._lines or []
        top = len(lines) * self._leading
        for number, line in enumerate(lines, start=1):  # from the top: readers copy text in the order in which it was drawn
            draw_line(self.canv, self._face, line, x=0, y=top - number * self._leading + 0.3 * self._size, size=self._size)


class TableStyle(NamedTuple):
    """What all parts of one table share: its cells, its columns and how wide they are (points)."""

    grid: Grid
    columns: range
    widths: Sequence[float]

    def header(self) -> Row:
        """The lines of the header, cut off where a name would fill the page."""
        if not self.grid.header:
            return ()
        face, names = typeface(bold=True), [self.grid.header[column] for column in self.columns]
        return [self._lines(face, name, width)[:_MOST_HEADER_LINES] for name, width in zip(names, self.widths, strict=True)]

    def row(self, number: int) -> Row:
        """The lines of a row."""
        cells = self.grid.rows[number]
        return [self._lines(typeface(), shown(cells[column]), width) for column, width in zip(self.columns, self.widths, strict=True)]

    @staticmethod
    def _lines(face: Typeface, text: str, width: float) -> list[str]:
        return face.lines(clean(text), _TABLE_SIZE, width - 2 * _PADDING)


class TablePart(Flowable):
    """A table from some row on; `begun` is the rest of a row that did not fit the page before. Fills pages until nothing is left."""

    def __init__(self, style: TableStyle, start: int = 0, begun: Row | None = None) -> None:
        super().__init__()
        self._style = style
        self._start = start
        self._begun = begun
        self._header = style.header()
        self._filled: tuple[float, list[tuple[int, Row]], TablePart | None] | None = None

    def wrap(self, _width: float, available_height: float) -> tuple[float, float]:
        """Return the size it takes; more than there is if it has to be split."""
        rows, rest = self._fill(available_height)
        height = sum((_height(row) for _, row in rows), _height(self._header))
        return sum(self._style.widths), height if rest is None else available_height + 1

    def split(self, _width: float, available_height: float) -> list[Flowable]:
        """Return what fits and the rest."""
        rows, rest = self._fill(available_height)
        return [_Rows(self._style, self._header, rows), *([rest] if rest else [])] if rows else []

    def draw(self) -> None:
        """Draw it: all of it fits."""
        rows, _ = self._fill(float("inf"))
        _draw_rows(self.canv, self._style, self._header, rows)

    def _fill(self, available_height: float) -> tuple[list[tuple[int, Row]], "TablePart | None"]:
        if self._filled is None or self._filled[0] < available_height < float("inf"):
            rows, rest = self._taken(available_height - _height(self._header))
            self._filled = (available_height, rows, rest)
        return self._filled[1], self._filled[2]

    def _taken(self, room: float) -> tuple[list[tuple[int, Row]], "TablePart | None"]:
        taken: list[tuple[int, Row]] = []
        number, row = self._start, self._begun
        while number < len(self._style.grid.rows):
            row = row if row is not None else self._style.row(number)
            height = _height(row)
            if height > room:
                above, below = ([], row) if taken else _cut(row, room)
                if above:
                    taken.append((number, above))
                return taken, TablePart(self._style, number, below)
            taken.append((number, row))
            room, number, row = room - height, number + 1, None
        return taken, None


class _Rows(Flowable):
    """Rows that fit, laid out."""

    def __init__(self, style: TableStyle, header: Row, rows: Sequence[tuple[int, Row]]) -> None:
        super().__init__()
        self._style, self._header, self._rows = style, header, rows

    def wrap(self, _width: float, _available: float) -> tuple[float, float]:
        """Return the size it takes."""
        return sum(self._style.widths), sum((_height(row) for _, row in self._rows), _height(self._header))

    def draw(self) -> None:
        """Draw them."""
        _draw_rows(self.canv, self._style, self._header, self._rows)


def shown(value: Cell) -> str:
    """Return what a reader sees of a cell."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _height(row: Row) -> float:
    return max(map(len, row)) * _TABLE_SIZE * LEADING + 2 * _PADDING if row else 0.0


def _cut(row: Row, room: float) -> tuple[Row, Row]:
    """A row that no page holds goes on on the next one. Nothing above when not even a line fits."""
    fitting = int((room - 2 * _PADDING) / (_TABLE_SIZE * LEADING))
    return ([cell[:fitting] for cell in row], [cell[fitting:] for cell in row]) if fitting > 0 else ([], row)


def _draw_rows(canvas: Any, style: TableStyle, header: Row, rows: Sequence[tuple[int, Row]]) -> None:
    top = sum((_height(row) for _, row in rows), _height(header))
    width = sum(style.widths)
    canvas.setLineWidth(0.4)
    canvas.setStrokeColor(_GREY)
    if header:
        canvas.setFillColor(_PALE)
        canvas.rect(0, top - _height(header), width, _height(header), stroke=0, fill=1)
        top = _draw_row(canvas, style, header, top, typeface(bold=True), ())
    for number, row in rows:
        cells = style.grid.rows[number]
        numeric = [index for index, column in enumerate(style.columns) if _is_number(cells[column])]
        top = _draw_row(canvas, style, row, top, typeface(), numeric)
        canvas.line(0, top, width, top)


def _draw_row(canvas: Any, style: TableStyle, row: Row, top: float, face: Typeface, right: Sequence[int]) -> float:
    """Draw a row whose upper end is at `top`; cells named in `right` are aligned there. Return its lower end."""
    x = 0.0
    drawn = canvas.beginText()
    drawn.setFillColor(_BLACK)
    for index, (lines, width) in enumerate(zip(row, style.widths, strict=True)):
        for number, line in enumerate(lines):
            indent = width - _PADDING - face.width(line, _TABLE_SIZE) if index in right else _PADDING
            drawn.setTextOrigin(x + indent, top - _PADDING - _TABLE_SIZE - number * _TABLE_SIZE * LEADING)
            for font, part in face.runs(line):
                drawn.setFont(font, _TABLE_SIZE)
                drawn.textOut(part)
        x += width
    canvas.drawText(drawn)
    return top - _height(row)


def _is_number(value: Cell) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
