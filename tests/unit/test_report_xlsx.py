"""Reports as workbooks: cells are what they were, nothing is a formula or a link, and every sheet has a name that is one."""

from io import BytesIO
from typing import Any
from zipfile import ZipFile

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.workbook import Workbook

from consumer.reports.content import content_of
from consumer.reports.payload import Report
from consumer.reports.sheet_names import SheetNames
from consumer.reports.xlsx import workbook


def written(**payload: Any) -> tuple[bytes, int]:
    return workbook(content_of(msgspec.convert({"title": "Report", "format": "xlsx"} | payload, Report)))


def made(**payload: Any) -> Workbook:
    content, count = written(**payload)
    book = load_workbook(BytesIO(content))
    assert len(book.sheetnames) == count
    return book


def values(sheet: Any) -> list[tuple[Any, ...]]:
    return [*sheet.iter_rows(values_only=True)]


def test_a_table_is_a_sheet() -> None:
    """Its header in the first row, then its rows: numbers, truth values, texts and gaps as they were; the rest is JSON."""
    book = made(title="Sales", columns=["n", "x", "ok", "text", "gap", "more"], rows=[[1, 2.5, True, "ü", None, {"a": [1]}], [-(10**14)]])
    assert book.sheetnames == ["Sales"]
    assert values(book["Sales"]) == [
        ("n", "x", "ok", "text", "gap", "more"),
        (1, 2.5, True, "ü", None, '{"a":[1]}'),
        (-(10**14), None, None, None, None, None),
    ]
    assert book["Sales"].freeze_panes == "A2"
    assert book.properties.title == "Sales"


def test_rows_without_names() -> None:
    """Lists without columns begin in the first row."""
    assert values(made(rows=[["a", 1], ["b", 2]])["Report"]) == [("a", 1), ("b", 2)]


def test_sections_texts_and_charts() -> None:
    """Texts have a sheet of their own, tables one each, and a chart the cells that it shows."""
    chart = {"kind": "pie", "labels": ["a", "b"], "series": [{"name": "s", "values": [1, 2]}]}
    book = made(
        title="All",
        rows=[[0]],
        sections=[
            {"heading": "Intro", "text": "Hello\nWorld"},
            {"heading": "Part", "rows": [{"k": "v"}], "chart": chart},
            {"chart": chart},
        ],
    )
    assert book.sheetnames == ["Report", "All", "Part", "All (2)"]
    assert ("Intro", "Hello\nWorld") in values(book["Report"])
    assert ("All", None) in values(book["Report"])
    assert values(book["Part"]) == [("k", None), ("v", None), (None, None), (None, "s"), ("a", 1), ("b", 2)]
    with ZipFile(BytesIO(written(chart=chart)[0])) as archive:
        assert "<c:pieChart>" in archive.read("xl/charts/chart1.xml").decode()


def test_a_report_of_nothing_but_a_title() -> None:
    """Is a sheet with a title."""
    assert values(made(title="Only")["Report"])[0][0] == "Only"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("http://127.0.0.1/","x")',
        "+1",
        "-1",
        "@SUM(A1)",
        "{=1+1}",
        "http://127.0.0.1/",
        "mailto:a@example.org",
        "file:///etc/passwd",
        "internal:Sheet1!A1",
        "007",
        "1e5",
        "TRUE",
        "",
        " blank ",
        "<b>&amp;</b>",
        "a\x01b\x1fc",
        "_x0041_",
        "\ufffe\uffff",
        "\U0001f600",
    ],
)
def test_text_is_only_ever_text(text: str) -> None:
    """No formula, no link, no number comes out of a text, wherever it stands."""
    content, _ = written(title="T", columns=[text], rows=[[text]], sections=[{"heading": text, "text": text}])
    book = load_workbook(BytesIO(content))
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type in {"s", "n"}
                assert cell.data_type == "s" or cell.value is None
                assert cell.hyperlink is None
    with ZipFile(BytesIO(content)) as archive:
        sheets = [archive.read(name).decode() for name in archive.namelist() if name.startswith("xl/worksheets/")]
    assert not [xml for xml in sheets if "<f>" in xml or "<hyperlink" in xml]
    assert len([xml for xml in sheets if "<row" in xml]) == (2 if text else 1)
    if text.isprintable() and text.strip() == text and "_x" not in text and text:
        assert values(book["T"]) == [(text,), (text,)]


def test_whole_numbers_that_a_spreadsheet_would_round_are_texts() -> None:
    """Fifteen digits are a number, sixteen are kept digit by digit."""
    assert values(made(rows=[[10**15 - 1, 10**15, -(10**15), 2**63]])["Report"]) == [
        (10**15 - 1, "1000000000000000", "-1000000000000000", str(2**63))
    ]


def test_a_text_longer_than_a_cell_goes_on_below() -> None:
    """Nothing is lost."""
    text = "0123456789" * 9_000
    rows = values(made(sections=[{"heading": "H", "text": text}])["Report"])
    assert "".join(row[1] for row in rows if row[1]) == text


NAMES = [
    ("Plain", "Plain"),
    ("a/b\\c[d]:e*f?g", "a b c d  e f g"),
    ("'quoted'", "quoted"),
    ("???", "Sheet"),
    ("History", "History (2)"),
    ("x" * 40, "x" * 31),
    ("x" * 30 + "'y", "x" * 30),
    ("\U0001f600" * 20, "\U0001f600" * 15),
]


@pytest.mark.parametrize(("wish", "name"), NAMES)
def test_names_of_sheets(wish: str, name: str) -> None:
    """What spreadsheets refuse is left out or replaced, and no more than 31 units of UTF-16 are left."""
    assert SheetNames().next(wish) == name
    assert made(title="T", sections=[{"heading": wish, "rows": [[1]]}]).sheetnames == [name]
    assert made(title="T", sections=[{"rows": [[1]]}]).sheetnames == ["T"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=50) | st.sampled_from(["a", "A", "x" * 40]), max_size=12))
def test_no_two_names_are_equal(wishes: list[str]) -> None:
    """Nor equal but for case, nor longer than allowed, whatever is wished."""
    names = SheetNames()
    given_ = [names.next(wish) for wish in wishes]
    assert len({name.casefold() for name in given_}) == len(given_)
    for name in given_:
        assert 1 <= len(name.encode("utf-16-le")) // 2 <= 31
        assert not set(name) & set("[]:*?/\\")
        assert name[0] != "'" != name[-1]
