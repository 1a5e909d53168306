"""What a mistake is, and how one is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import shared.dlq_store
import shared.job_store
import shared.lease_store
from chaos.checks.invariant import INVARIANTS, Check
from shared.broker import Broker

QUERIES = (shared.job_store.SQL, shared.dlq_store.MOVES, shared.lease_store.SQL)


@dataclass(frozen=True)
class Mistake:
    """`found_by` are the invariants that speak of it, by name: each of them has to find it, whatever else is found beside."""

    name: str
    does: str
    found_by: frozenset[str]
    make: Callable[[], None]


MISTAKES: dict[str, Mistake] = {}


def mistake(*found_by: Check) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function that makes one in the process that it is called in. Its docstring says what is wrong then."""

    def register(make: Callable[[], None]) -> Callable[[], None]:
        name = make.__name__.replace("_", "-")
        names = frozenset(known.name for known in INVARIANTS if known.check in found_by)
        MISTAKES[name] = Mistake(name, make.__doc__ or "", names, make)
        return make

    return register


def put(owner: Any, name: str, value: Any) -> None:
    """Put something else in the place of a method, function or constant. Raises AttributeError when there is none of that name any more."""
    getattr(owner, name)
    setattr(owner, name, value)


def change_query(name: str, old: str, new: str) -> None:
    """Change the text of a query, wherever it is loaded. Raises KeyError when there is none, ValueError when it has no such text."""
    if not (found := [queries for queries in QUERIES if name in queries]):
        raise KeyError(name)
    for queries in found:
        queries[name] = _changed(queries[name], name, old, new)


def change_script(name: str, old: str, new: str) -> None:
    """Change the text of a Lua script of every broker that is made from now on. Raises as above, when one is made."""
    make = Broker.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        self._scripts[name] = self.client.register_script(_changed(self._scripts[name].script, name, old, new))

    put(Broker, "__init__", init)


def _changed(text: str, name: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"{name} has no {old!r} any more")
    return text.replace(old, new)
