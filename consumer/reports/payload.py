"""What a client may ask for in a report. The limits stand in the schema, so that the API refuses at once what exceeds them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

MAX_ROWS = 100_000  # of all tables together
MAX_COLUMNS = 100
MAX_SECTIONS = 200
MAX_TEXT_CHARACTERS = 100_000
MAX_LABELS = 500
MAX_SERIES = 20
MAX_NUMBER = 1e15  # beyond it neither an axis nor a spreadsheet tells two numbers apart

Line = Annotated[str, Meta(max_length=200)]
Number = Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Rows = Annotated[list[dict[str, Any] | list[Any]], Meta(max_length=MAX_ROWS)]
Columns = Annotated[list[Line], Meta(max_length=MAX_COLUMNS)]


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line, or one colour of bars; a value for each label."""

    values: Annotated[list[Number], Meta(min_length=1, max_length=MAX_LABELS)]
    name: Line = ""


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chart of one or more series; a pie has one."""

    kind: Literal["bar", "line", "pie"]
    labels: Annotated[list[Line], Meta(min_length=1, max_length=MAX_LABELS)]
    series: Annotated[list[Series], Meta(min_length=1, max_length=MAX_SERIES)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the report: heading, text, table and chart, each optional."""

    heading: Line = ""
    text: Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS)] = ""
    rows: Rows | None = None
    columns: Columns | None = None
    chart: Chart | None = None


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A title, and sections; a table and a chart beside them come first."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    format: Literal["pdf", "xlsx"] = "pdf"
    sections: Annotated[list[Section], Meta(max_length=MAX_SECTIONS)] = []
    rows: Rows | None = None
    columns: Columns | None = None
    chart: Chart | None = None
