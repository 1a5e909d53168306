"""What a figure is: a name, what it says, and who competes in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loadtest.peers import Installed
from loadtest.rounds import Contender
from loadtest.stack import Stack


@dataclass
class Bench:
    """What figures measure with."""

    stack: Stack
    peers: dict[str, Installed] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure. The first contender is ours; `headline` is the measure by which it is compared with the others."""

    name: str
    title: str
    method: str
    headline: str
    contenders: Callable[[Bench], Mapping[str, Contender]]
    published: Mapping[str, str] = field(default_factory=dict)  # name in the summary of results.json -> measure
    max_rounds: int | None = None  # where more rounds tell nothing new
    uses_peers: bool = False
