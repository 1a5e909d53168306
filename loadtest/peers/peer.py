"""What a peer is, and how its two verbs are called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from loadtest.errors import MeasureError
from loadtest.processes import Children

FILL_SECONDS = 300.0
DRAIN_SECONDS = 600.0


class Drained(msgspec.Struct):
    """What `drain` prints. Times are seconds of the worker's own monotonic clock."""

    count: int  # jobs that were settled
    begun: float  # the worker was told to start
    first: float  # the first job was settled
    last: float  # the last job was settled
    resident_bytes: int  # of the worker, at the end


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A job system, its exact versions, its settings, and what it promises."""

    name: str
    packages: Mapping[str, str]  # pinned: name -> version
    install: Callable[["Peer", Path, Children], list[str]]  # (peer, folder) -> the command that runs the script
    script: Path
    settings: str  # how its worker is set up; the fast way that its makers recommend
    makes_durable: str  # what survives once it has said "queued" and "done"

    def fill(self, command: list[str], env: Mapping[str, str], count: int, children: Children) -> None:
        """Queue `count` jobs."""
        children.run(f"{self.name}-fill", [*command, "fill", str(count)], env, timeout_seconds=FILL_SECONDS)

    def drain(self, command: list[str], env: Mapping[str, str], count: int, children: Children) -> Drained:
        """Run one worker until all are settled. Raises MeasureError when a job is missing."""
        output = children.run(f"{self.name}-drain", [*command, "drain", str(count)], env, timeout_seconds=DRAIN_SECONDS)
        drained = msgspec.json.decode(output, type=Drained)
        if drained.count != count:
            raise MeasureError(f"{self.name}: {drained.count} of {count} jobs were settled")
        return drained
