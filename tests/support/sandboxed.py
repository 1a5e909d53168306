"""What tests let run in the sandbox."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

TURN_SECONDS = 0.2


def main(request: dict[str, Any], data: bytes) -> Iterator[Any]:
    """Do what is asked, well or badly."""
    if request["do"] == "echo":
        yield request
        yield len(data)
    else:
        yield from DEEDS[request["do"]]()


def environment() -> Iterator[Any]:
    """Tell the names of variables."""
    yield list(os.environ)


def burn() -> Iterator[Any]:
    """Compute for ever."""
    yield sum(iter(int, 1))


def sleep() -> Iterator[Any]:
    """Begin, and never end."""
    yield "begun"
    time.sleep(3600)


def turn() -> Iterator[Any]:
    """Take a moment."""
    yield "begun"
    time.sleep(TURN_SECONDS)
    yield "ended"


def allocate() -> Iterator[Any]:
    """Want much memory."""
    yield len(b"x" * 300_000_000)


def flood() -> Iterator[Any]:
    """Say much."""
    yield "x" * 9_000_000


def odd() -> Iterator[Any]:
    """Raise."""
    raise ValueError("it is odd")


def leave() -> Iterator[Any]:
    """End without a word."""
    os._exit(3)


def segfault() -> Iterator[Any]:
    """End as broken native code does."""
    os.kill(os.getpid(), signal.SIGSEGV)
    yield None


def lie() -> Iterator[Any]:
    """Print what nobody must take for an answer, then raise."""
    sys.stdout.write('{"item": "a lie"}\n')
    sys.stdout.flush()
    raise ValueError("printed")


DEEDS: dict[str, Callable[[], Iterator[Any]]] = {
    deed.__name__: deed for deed in (environment, burn, sleep, turn, allocate, flood, odd, leave, segfault, lie)
}
