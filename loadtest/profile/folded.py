"""Collapsed stacks, as py-spy writes them: `outer (file:line);...;inner (file:line) COUNT`, a line a stack."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_FRAME = re.compile(r"(?P<function>.*) \((?P<file>.*?)(?::\d+)?\)")


class Frame(NamedTuple):
    """A function and the end of the path of its file; of native code the library, when the file is not known."""

    function: str
    file: str


class Stack(NamedTuple):
    """Frames, outermost first, and how often they were found so."""

    frames: tuple[Frame, ...]
    samples: int


def parse(lines: Iterable[str]) -> Iterator[Stack]:
    """Yield the stacks of a file. Raises ValueError at a line that is none."""
    for line in lines:
        if line.strip():
            text, _, count = line.rstrip("\n").rpartition(" ")
            yield Stack(tuple(_frame(part) for part in text.split(";")), int(count))


def _frame(text: str) -> Frame:
    found = _FRAME.fullmatch(text)
    return Frame(found["function"], found["file"]) if found else Frame(text, "")
