"""A history in JSON lines: one event a line, with `t` (Unix seconds) and `e` (what happened)."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import orjson


class Journal:
    """Writes a file of events, each at once: whoever is killed next has said what he did."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note(self, event: str, **fields: Any) -> None:
        """Add an event that happens now."""
        self._file.write(orjson.dumps({"t": time.time(), "e": event, **fields}) + b"\n")


def read(file: Path) -> Iterator[dict[str, Any]]:
    """Every event of a file, in order. None if there is no such file."""
    if file.exists():
        with file.open("rb") as lines:
            yield from map(orjson.loads, lines)
