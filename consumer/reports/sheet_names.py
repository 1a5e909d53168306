"""Names for the sheets of a workbook: whatever somebody calls a section, spreadsheets accept the name and no two are equal."""

import re

__all__ = ["SheetNames"]

_LONGEST = 31  # in units of UTF-16
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f]|[\ud800-\udfff]")
_RESERVED = "history"


class SheetNames:
    """The names of one workbook."""

    def __init__(self) -> None:
        self._taken = {_RESERVED}

    def next(self, wish: str) -> str:
        """Return a name as near to `wish` as can be."""
        plain = _FORBIDDEN.sub(" ", wish).strip().strip("'").strip() or "Sheet"
        number, name = 1, _cut(plain, _LONGEST)
        while name.casefold() in self._taken:
            number += 1
            suffix = f" ({number})"
            name = _cut(plain, _LONGEST - len(suffix)) + suffix
        self._taken.add(name.casefold())
        return name


def _cut(text: str, longest: int) -> str:
    """Return as much of `text` as fits, without half a character and without an apostrophe at its end."""
    return text.encode("utf-16-le")[: 2 * longest].decode("utf-16-le", "ignore").rstrip("' ")
