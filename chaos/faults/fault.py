"""What a fault is."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from random import Random

from chaos.world import World


class MissedError(Exception):
    """The fault did not strike: what it was aimed at was not there, a named point was not reached, or it ended before its time."""


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Hit:
    """A fault that has struck: how long it lasts, and the pids of the workers that may lose their leases by it.

    `aim` is what it is counted by besides its name: a named point, a way through the network. `lasts` says whether it is still so.
    """

    seconds: float = 0.0
    victims: tuple[int, ...] = ()
    detail: str = ""
    aim: str = ""
    lasts: Callable[[], bool] = _always


Deed = Callable[[World, Random], AbstractAsyncContextManager[Hit]]


@dataclass(frozen=True)
class Fault:
    """`kind` is the class that it is counted in. `strikes` are the stores that cannot be reached meanwhile: postgres, redis."""

    name: str
    kind: str
    strikes: frozenset[str]
    deed: Deed


FAULTS: dict[str, Fault] = {}


def fault(name: str, kind: str, *strikes: str) -> Callable[[Callable[[World, Random], AsyncIterator[Hit]]], Deed]:
    """Register a generator that breaks something, yields the hit, and mends it."""

    def register(deed: Callable[[World, Random], AsyncIterator[Hit]]) -> Deed:
        context = asynccontextmanager(deed)
        FAULTS[name] = Fault(name, kind, frozenset(strikes), context)
        return context

    return register
