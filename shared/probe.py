"""Named points in the code where tests can look on, or make a process die or freeze. Silent in production.

In one process: `with probe.watch("settled") as seen: ...`. In another: `MILLSTREAM_PROBES="claimed=kill,settled=stop"`, where kill is
SIGKILL and stop is SIGSTOP of the process that gets there; `name=kill@3` acts at the third time. It says so on stderr just before.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Action = Callable[[Any], None]

_actions: dict[str, list[Action]] = {}


def reached(name: str, detail: Any = None) -> None:
    """Say that the point `name` was reached."""
    if _actions:
        for action in tuple(_actions.get(name, ())):
            action(detail)


@contextmanager
def on(name: str, action: Action) -> Iterator[None]:
    """Run `action(detail)` at every arrival at `name`; what it raises is raised there."""
    _actions.setdefault(name, []).append(action)
    try:
        yield
    finally:
        _actions[name].remove(action)
        if not _actions[name]:
            del _actions[name]


@contextmanager
def watch(name: str) -> Iterator[list[Any]]:
    """Collect the details of all arrivals at `name`."""
    seen: list[Any] = []
    with on(name, seen.append):
        yield seen


def arm(spec: str) -> None:
    """Arm the points of MILLSTREAM_PROBES. Raises ValueError for an action that is not known."""
    for part in filter(None, spec.split(",")):
        name, _, rest = part.partition("=")
        action, _, nth = rest.partition("@")
        _actions.setdefault(name, []).append(_strike(name, {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action], int(nth or 1)))


def announcement(name: str, pid: int) -> str:
    """Return what a process says when it strikes itself at that point."""
    return f"probe {name} {struck(pid)}"


def struck(pid: int) -> str:
    """Return how that ends, whatever the point."""
    return f"strikes process {pid}."


def _strike(name: str, signal_number: int, nth: int) -> Action:
    count = 0

    def strike(_: Any) -> None:
        nonlocal count
        count += 1
        if count == nth:
            os.write(sys.stderr.fileno(), f"{announcement(name, os.getpid())}\n".encode())
            os.kill(os.getpid(), signal_number)

    return strike
