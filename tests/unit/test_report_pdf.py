"""Reports as PDF: everything is there and readable, nothing in it is a command, and any length fits."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from consumer.reports.content import content_of
from consumer.reports.payload import Report
from consumer.reports.pdf import document
from consumer.reports.typeface import REPLACEMENT, clean, typeface

CHART = {
    "kind": "bar",
    "labels": ["Jan", "Feb", "Mär"],
    "series": [{"name": "2025", "values": [1, 2.5, -3]}, {"name": "2026", "values": [0, 0, 0]}],
}
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def made(**payload: Any) -> tuple[bytes, int]:
    return document(content_of(msgspec.convert({"title": "Report"} | payload, Report)))


def pages(content: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(content)).pages]


def words(content: bytes) -> str:
    """All text, without the blanks and line ends that a reader has to guess."""
    return re.sub(r"\s", "", "".join(pages(content)))


def test_everything_is_there() -> None:
    """Title, headings, texts, header, cells, labels and page numbers; the title is the document's, too."""
    content, count = made(
        title="Umsätze 2026",
        columns=["name", "amount"],
        rows=[["Ada", 1.5], {"amount": 2, "name": "Bob"}][:1],
        sections=[{"heading": "Lage", "text": "Zeile eins\nZeile zwei"}, {"rows": [{"a": None, "b": True, "c": {"d": [1]}}]}],
        chart=CHART,
    )
    [text] = pages(content)
    for expected in (
        "Umsätze 2026",
        "name",
        "amount",
        "Ada",
        "1.5",
        "Lage",
        "Zeile eins",
        "Zeile zwei",
        "true",
        '{"d":[1]}',
        "Feb",
        "Page 1",
    ):
        assert expected in text, text
    assert count == 1
    assert PdfReader(BytesIO(content)).metadata.title == "Umsätze 2026"  # type: ignore[union-attr]


def test_a_long_table() -> None:
    """Every page has the header and its number; no row is missing, none comes twice."""
    content, count = made(columns=["number", "square"], rows=[[n, f"sq{n * n}"] for n in range(1000)])
    texts = pages(content)
    assert len(texts) == count > 10
    for number, text in enumerate(texts, start=1):
        assert "number" in text
        assert "square" in text
        assert f"Page {number}" in text
    assert re.findall(r"sq(\d+)", "".join(texts)) == [str(n * n) for n in range(1000)]


def test_text_over_many_pages() -> None:
    """A text longer than a page goes on on the next; every word is there, in order."""
    numbers = [f"w{n}" for n in range(5000)]
    content, count = made(sections=[{"heading": "Long", "text": " ".join(numbers)}])
    assert count > 3
    assert re.findall(r"w\d+", " ".join(pages(content))) == numbers


def test_a_cell_longer_than_a_page() -> None:
    """It is broken within, and goes on beside its neighbours' rest."""
    content, count = made(columns=["a", "b"], rows=[["x" * 32_767, "short"], ["other", "y"]])
    assert count > 2
    assert words(content).count("x") == 32_767
    assert "other" in words(content)


def test_a_header_longer_than_a_page() -> None:
    """It is cut off; the rows are still there."""
    content, _ = made(rows=[{"n" * 5000: "value"}])
    assert "value" in words(content)
    assert 0 < words(content).count("n") < 5000


def test_more_columns_than_a_page_is_wide() -> None:
    """They follow in further tables, a dozen each, none left out."""
    content, _ = made(columns=[f"col{n}." for n in range(100)], rows=[[f"val{n}." for n in range(100)]])
    text = words(content)
    assert [f"col{n}." in text and f"val{n}." in text for n in range(100)] == [True] * 100
    assert "Columns13to24of100" in text


@pytest.mark.parametrize("rows", [[], [[]], [[], []], [{}]])
def test_tables_of_nothing(rows: list[Any]) -> None:
    """They are no error."""
    assert made(rows=rows)[1] == 1
    assert made(rows=rows[:0], columns=["only", "names"])[1] == 1


MARK_UP = [
    "<img src='http://127.0.0.1:1/x.png'/>",
    "<img src='/etc/passwd'/>",
    "<para><b>bold</i>",
    "<font color=red>",
    "</para>",
    "a < b & c > d &amp; &#65; &nope;",
    "<a href='javascript:1'>x</a>",
    "<onDraw name=x label=y/>",
    "(parens) \\ backslash \\) Tj ET endstream endobj",
    "%PDF-1.4 /JavaScript (app.alert(1))",
]


@pytest.mark.parametrize("text", MARK_UP)
def test_text_is_never_a_command(text: str) -> None:
    """Mark-up of reportlab, of HTML and of PDF itself is shown letter by letter, wherever it stands; nothing is fetched or linked."""
    chart = {"kind": "pie", "labels": [text[:200]], "series": [{"name": text[:200], "values": [1]}]}
    content, _ = made(title=text, columns=[text], rows=[[text]], sections=[{"heading": text, "text": text}], chart=chart)
    assert words(content).count(re.sub(r"\s", "", text)) >= 5
    page = PdfReader(BytesIO(content)).pages[0]
    assert "/Annots" not in page
    assert not page.images
    assert not {"/OpenAction", "/AA", "/Names", "/AcroForm"} & PdfReader(BytesIO(content)).root_object.keys()


@pytest.mark.parametrize(
    "text",
    [
        "Größe Łódź Čeština İstanbul Ελληνικά Кириллица Tiếng Việt",
        "→ ← ≤ ≥ \u2212 ∑ € ₿ № ™ … “quoted”",
        "საქართველო ภาษาไทย",
        "中文字 日本語カナ 한국어",
    ],
)
def test_languages(text: str) -> None:
    """Scripts that need no joining are shown as they are, in texts, headings and cells."""
    content, _ = made(title=text, rows=[[text]], sections=[{"text": text}])
    for word in text.split():
        assert words(content).count(word) == 3, (word, words(content))


@pytest.mark.parametrize("text", ["العربية", "עברית", "नमस्ते", "\U0001f600"])
def test_what_no_font_can_show_is_replaced(text: str) -> None:
    """A sign in its place, and no error; the rest of the line stays."""
    content, _ = made(title=f"a {text} b", rows=[[text]])
    assert REPLACEMENT in words(content)
    assert words(content).startswith(f"a{REPLACEMENT}")


def test_control_characters_are_left_out() -> None:
    """And marks that would turn the direction of what follows."""
    assert clean("a\0b\x1bc\u202ed\u200be\tf\r\ng\rh") == "abcde    f\ng\nh"
    assert "abcde" in words(made(title="a\0b\x1bc\u202ed\u200be")[0])


@given(ANY_TEXT, st.floats(20, 300))
@settings(deadline=None)
def test_lines_keep_every_character_and_the_width(text: str, width: float) -> None:
    """Whatever the text: breaking it loses nothing but blanks at line ends, and no line with two characters is too wide."""
    plain, face = clean(text), typeface()
    lines = face.lines(plain, 10.0, width)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", plain)
    assert all(face.width(line.rstrip(" "), 10.0) <= width + 0.01 or len(line.rstrip(" ")) == 1 for line in lines)


@pytest.mark.parametrize("kind", ["bar", "line", "pie"])
@pytest.mark.parametrize("values", [[1.0], [1e15], [1e-9, 5], [3] * 500, [0, 0, 7]])
def test_charts(kind: str, values: list[float]) -> None:
    """One value, very large and very small ones, as many as are allowed: each is drawn, and its labels that fit are there."""
    content, _ = made(chart={"kind": kind, "labels": [f"L{n}" for n in range(len(values))], "series": [{"name": "s", "values": values}]})
    assert "L0" in words(content)


def test_charts_at_and_below_zero() -> None:
    """Bars and lines may go down, or nowhere."""
    for kind in ("bar", "line"):
        assert "Feb" in words(made(chart=CHART | {"kind": kind})[0])
        assert made(chart={"kind": kind, "labels": ["a"], "series": [{"values": [0]}]})[1] == 1
        assert made(chart={"kind": kind, "labels": ["a", "b"], "series": [{"values": [-5, -1]}]})[1] == 1


def test_reports_at_the_same_time() -> None:
    """Several threads, each its own document: nobody's text is in another's."""
    texts = [f"only-{n}-äß→中" for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        results = [*pool.map(lambda text: made(title=text, rows=[[text]] * 200), texts)]
    for text, (content, _) in zip(texts, results, strict=True):
        assert words(content).count(text) == 201
        assert not [other for other in texts if other != text and other in words(content)]


def test_the_work_can_be_stopped_at_a_page() -> None:
    """A job that is cancelled does not go on to its last page."""
    seen = []

    def check() -> None:
        seen.append(1)
        if len(seen) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        document(content_of(msgspec.convert({"title": "T", "rows": [[n] for n in range(5000)]}, Report)), check)
    assert len(seen) == 3


def test_a_table_does_not_get_slower_as_it_gets_longer() -> None:
    """Twice the rows take about twice the time: a quadratic layout would take four times."""
    made(rows=[["warm", 1]])
    seconds = []
    for count in (1500, 6000):
        start = time.process_time()
        made(rows=[[n, "some text"] for n in range(count)])
        seconds.append(time.process_time() - start)
    assert seconds[1] < 8 * seconds[0], seconds
