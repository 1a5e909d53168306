"""The independent recorder: `python -m chaos.recorder SOCKET FILE`. No fault is aimed at it.

What handlers do they tell it by datagram; it stamps each with its own clock and writes it down. What was sent is in the kernel's
hands: it arrives though its sender is killed in the next moment.
"""

import os
import socket
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from chaos.journal import Journal

SOCKET_VARIABLE = "CHAOS_RECORDER"
MAX_BYTES = 65_536
NICENESS = -15  # as root
MOMENTS = {"looked", "at"}  # what senders tell by the machine's monotonic clock
LONGEST_SECONDS = 300.0  # that anybody is frozen, and more


def tell(event: str, **fields: Any) -> None:
    """Say that something happened. Waits while the recorder has many others to write down."""
    _line(os.getpid()).send(orjson.dumps({"e": event, "pid": os.getpid(), **fields}))


@cache
def _line(pid: int) -> socket.socket:
    del pid  # a forked child has a line of its own
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    line.connect(os.environ[SOCKET_VARIABLE])
    return line


def record(path: str, file: Path) -> None:
    """Write down what comes in, until we are ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as entrance, Journal(file) as journal:
        entrance.bind(path)
        while True:
            event = orjson.loads(entrance.recv(MAX_BYTES))
            for moment in MOMENTS & event.keys():
                event[moment] = _by_our_clock(event[moment])
            journal.note(event.pop("e"), **event)


def _by_our_clock(moment: float) -> float:
    """Return when a moment of the machine's monotonic clock was, in Unix seconds. Now, if that clock was wrong where it was read."""
    ago = time.monotonic() - moment
    return time.time() - (ago if 0 <= ago < LONGEST_SECONDS else 0)


if __name__ == "__main__":
    with suppress(PermissionError):  # eleven datagrams fit into the kernel's queue: who sends more waits until it is our turn
        os.nice(NICENESS)
    record(sys.argv[1], Path(sys.argv[2]))
