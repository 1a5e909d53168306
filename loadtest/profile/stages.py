"""Which stage of a job's life a stack belongs to: the innermost frame that a table knows decides.

A frame of a library says less than who called it, so tables have two parts. `owners` are looked for first, from the innermost frame
outwards. Only a stack without any is given to a `carrier`: a library that was found with no frame of ours above it, because it runs on
its own or because the process went on while its stack was read. What neither knows is UNKNOWN, and is shown.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from loadtest.profile.folded import Frame, Stack

UNKNOWN = "unknown"


class Rule(NamedTuple):
    """Frames of files that begin with `file`, in functions that begin with `function`, belong to `stage`."""

    stage: str
    file: str
    function: str = ""

    def knows(self, frame: Frame) -> bool:
        """Whether the frame is one of them."""
        return frame.file.startswith(self.file) and frame.function.startswith(self.function)


class Table(NamedTuple):
    """The rules of one process. Of those that know a frame the first decides."""

    owners: Sequence[Rule]
    carriers: Sequence[Rule]

    def stage(self, frames: Sequence[Frame]) -> str:
        """Return the stage of a stack, outermost frame first."""
        for rules in (self.owners, self.carriers):
            for frame in reversed(frames):
                for rule in rules:
                    if rule.knows(frame):
                        return rule.stage
        return UNKNOWN

    def stages(self) -> list[str]:
        """Return the names of all stages in the order of the table."""
        return [*dict.fromkeys(rule.stage for rule in (*self.owners, *self.carriers)), UNKNOWN]


class Share(NamedTuple):
    """A stage's part of all samples, from 0 to 1, and the functions that most of it was found in, each with its part of all samples."""

    part: float
    places: list[tuple[str, float]]


def shares(table: Table, stacks: Iterable[Stack]) -> dict[str, Share]:
    """Return the stages in the order of the table; those without a sample are left out."""
    counts: dict[str, Counter[str]] = {stage: Counter() for stage in table.stages()}
    for stack in stacks:
        counts[table.stage(stack.frames)][_place(stack.frames)] += stack.samples
    total = sum(places.total() for places in counts.values())
    return {
        stage: Share(places.total() / total, [(place, found / total) for place, found in places.most_common()])
        for stage, places in counts.items()
        if places
    }


def _place(frames: Sequence[Frame]) -> str:
    function, file = frames[-1]
    return f"{function} ({file})" if function else "a torn stack"
