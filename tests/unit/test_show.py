"""Tables and lists for people."""

from typing import Any

from cli import show


def test_columns_stand_under_their_names() -> None:
    """Text to the left, numbers to the right, nothing behind the last column; what is missing is a dash."""
    rows: list[list[Any]] = [["a", 1, True, None], ["long name", 1234.5, False, ["x", "y"]], ["b", None, True, {"k": 1}]]
    assert show.table(["name", "n", "on", "rest"], rows) == (
        "NAME            N  ON   REST\n"
        "a               1  yes  -\n"
        "long name  1234.5  no   x, y\n"
        'b               -  yes  {"k": 1}'
    )  # fmt: skip
    assert show.table(["a"], []) == "(none)"


def test_a_field_that_nobody_has_is_no_column() -> None:
    """So one table serves answers of different age."""
    assert show.records(["a", "b", "c d"], [{"a": 1}, {"a": 2, "c d": "x"}]) == "A  C D\n1  -\n2  x"


def test_an_item_is_a_list_of_its_fields() -> None:
    """What has no value is left out; objects keep their shape."""
    assert show.fields({"id": "1", "status": "FAILED", "error": None, "tags": [], "result": {"a": "ü"}, "n": 0}) == (
        'id      1\nstatus  FAILED\nresult\n  {\n    "a": "ü"\n  }\nn       0'
    )


def test_nothing_steers_the_terminal() -> None:
    """Escape sequences, new lines and marks that turn the direction of writing become blanks, in objects, too."""
    assert show.plain("a\x1b[31m\r\n\u202eb\x9b") == "a [31m   b "
    for text in (show.cell({"k": "\x1b\u202e"}), show.fields({"r": {"k": "\x1b\u202e", "\x9b": 1}})):
        assert not set(text) & {"\x1b", "\u202e", "\x9b"}


def test_a_long_cell_is_cut() -> None:
    """From both sides of the limit."""
    assert show.cell("x" * show.WIDEST_CELL) == "x" * show.WIDEST_CELL
    assert show.cell("x" * (show.WIDEST_CELL + 1)) == "x" * (show.WIDEST_CELL - 3) + "..."
