"""What a curve is: something that grows, what is measured at each point, and what must not get worse."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from loadtest.growth.amounts import Amounts
from loadtest.stack import Stack
from loadtest.stats import Sample

Points = Mapping[str, Sample]  # point ("10,000 queued") -> measure -> value
Say = Callable[[str], None]


class Target(NamedTuple):
    """Something that a curve should keep to."""

    what: str
    found: float
    wanted: str  # as a person says it: ">= 0.8"
    met: bool


def at_least(what: str, found: float, limit: float) -> Target:
    """`found` should not be less than `limit`."""
    return Target(what, found, f">= {limit:g}", found >= limit)


def at_most(what: str, found: float, limit: float) -> Target:
    """`found` should not be more than `limit`."""
    return Target(what, found, f"<= {limit:g}", found <= limit)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve. `measure` begins with a fresh stack at each point that needs one; `targets` judges the points, by numbers alone."""

    name: str
    title: str
    method: str
    measure: Callable[[Stack, Amounts, Say], Points]
    targets: Callable[[Points], list[Target]]
    settings: Mapping[str, str] = field(default_factory=dict)  # of producer and consumer
