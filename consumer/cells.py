"""JSON values as spreadsheet cells that no spreadsheet program runs as a formula."""

import unicodedata
from typing import Any

import msgspec

__all__ = ["cell", "is_formula", "neutralised"]

_FORMULA_STARTS = "=+-@"  # OWASP, "CSV Injection"; and the next line
_LINE_STARTS = ("\t", "\r", "\n")


def cell(value: Any) -> str | int | float:
    """Make a JSON value a cell: numbers stay, None is empty, text is made harmless, the rest becomes compact JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):  # before int, which it is one of
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return neutralised(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def neutralised(text: str) -> str:
    """Return the text without NUL (readers choke on it), behind an apostrophe if it could be taken for a formula."""
    text = text.replace("\0", "")
    return f"'{text}" if is_formula(text) else text


def is_formula(text: str) -> bool:
    """Tell whether a spreadsheet could take the text for a formula, also behind blanks or in full-width characters."""
    if text.startswith(_LINE_STARTS):
        return True
    first = next((char for char in text if not _is_blank(char)), "")
    # NFKC folds the full-width, small and superscript twins, which some programs read as the plain character.
    return first != "" and unicodedata.normalize("NFKC", first)[0] in _FORMULA_STARTS


def _is_blank(char: str) -> bool:
    return char.isspace() or unicodedata.category(char)[0] in "CZ"  # controls, zero-width marks, separators
