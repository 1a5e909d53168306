"""A history in JSON lines: one event a line, with `t` (Unix seconds) and `e` (what happened)."""

import time
from collections.abc import Iterator, Sequence
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


def size(file: Path) -> int:
    """Return how many bytes have been written."""
    return file.stat().st_size if file.exists() else 0


def read(file: Path, since: int = 0) -> Iterator[dict[str, Any]]:
    """Every event of a file that begins after so many bytes, in order. None if there is no such file."""
    for line in _lines(file, since):
        yield orjson.loads(line)


def _lines(file: Path, since: int) -> Sequence[bytes]:
    """Its whole lines as they are at this moment: the rest of one that is there by half comes later, and must not be taken for a line."""
    if not file.exists():
        return ()
    with file.open("rb") as written:
        written.seek(max(since - 1, 0))
        begun = written.readline() if since else b"\n"
        return written.read().split(b"\n")[:-1] if begun.endswith(b"\n") else ()
