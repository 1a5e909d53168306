"""Which processes a run has, and how many of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from consumer.runtime import ROLES

SERVICES = tuple(role for role in ROLES if role != "worker")
GROUPS = ("producer", "consumer", "service")


@dataclass(frozen=True)
class Shape:
    """How many processes of each part. `split`: the consumers only work, and each service role is a process of its own.

    `earlier` is the checkout of an earlier version, which all begin with.
    """

    producers: int = 2
    consumers: int = 2
    split: bool = False
    mistake: str = ""  # of chaos.mutants.mistakes
    earlier: Path | None = None

    @property
    def processes(self) -> int:
        """All of them."""
        return len(self.members)

    @property
    def members(self) -> Sequence[tuple[str, str, Sequence[str]]]:
        """Name, part and command line of each."""
        roles = ["--only", "worker"] if self.split else []
        parts = [("producer", ["producer"])] * self.producers + [("consumer", ["consumer", *roles])] * self.consumers
        parts += [(role, ["consumer", "--only", role]) for role in SERVICES if self.split]
        return [(f"{part}-{number}", part, words) for number, (part, words) in enumerate(parts, 1)]


def group_of(part: str) -> str:
    """Return the kind of processes that this part is counted with."""
    return part if part in GROUPS else "service"
