"""Small aligned tables and lists for people. Whatever a job holds, it cannot steer the terminal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDEST_CELL = 60


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "(none)") -> str:
    """Return columns under their names; numbers stand to the right."""
    lines = [[cell(value) for value in row] for row in rows]
    if not lines:
        return empty
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    numeric = [_is_numeric(column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            value.rjust(width) if right else value.ljust(width) for value, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in ([name.upper() for name in header], *lines)
    )


def records(names: Sequence[str], items: Iterable[Mapping[str, Any]], *, empty: str = "(none)") -> str:
    """Return a table of these fields; one that no item has is left out."""
    items = list(items)
    present = [name for name in names if any(name in item for item in items)]
    return table([name.replace("_", " ") for name in present], ([item.get(name) for name in present] for item in items), empty=empty)


def fields(item: Mapping[str, Any]) -> str:
    """Return a line for every field that has a value, objects indented below their names."""
    width = max(map(len, item), default=0)
    return "\n".join(_field(name, value, width) for name, value in item.items() if value is not None and value != [])


def cell(value: Any) -> str:
    """Return a value on one line of a table."""
    if value is None or value in ([], {}):
        return "-"
    text = plain(value)
    return text if len(text) <= WIDEST_CELL else text[: WIDEST_CELL - 3] + "..."


def plain(value: Any) -> str:
    """Return a value as a line of text without control characters."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    return _printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _field(name: str, value: Any, width: int) -> str:
    if isinstance(value, dict) and value:
        lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
        return "\n".join([name, *(f"  {_printable(line)}" for line in lines)])
    return f"{name.ljust(width)}  {plain(value)}"


def _is_numeric(column: Sequence[str]) -> bool:
    return any(value != "-" for value in column) and all(value == "-" or value.replace(".", "", 1).isdigit() for value in column)
