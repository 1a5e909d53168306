"""The little Markdown that generated documents need."""

from collections.abc import Iterable, Sequence


def notice(source: str) -> str:
    """Tell whoever opens the file where to change it instead."""
    return f"<!-- Generated from {source} by `make docs`; change it there. `make check` compares. -->"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a pipe in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
