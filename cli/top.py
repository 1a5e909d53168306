"""`millstream top`: the numbers, live in the terminal. q or Ctrl-C ends it; without a terminal it prints them once."""

import argparse
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cli import overview, remote, show
from cli.client import Client
from shared.errors import UnavailableError

BEGIN = "\x1b[?1049h\x1b[?25l"  # a screen of our own, no cursor
END = "\x1b[?25h\x1b[?1049l"
HOME, TO_LINE_END, TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"
WORKER = ("worker", "concurrency", "draining", "started_at", "heartbeat_at")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = remote.command(commands, "top", run, "the numbers, live; q ends it")
    parser.add_argument("--interval", type=_interval, default=1.0, metavar="SECONDS", help="look so often (default 1)")


def run(args: argparse.Namespace) -> int:
    """Show the numbers until somebody has seen enough."""
    client = remote.client(args)
    if args.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return remote.emit(args, look(client), text)
    with suppress(KeyboardInterrupt), _screen():
        _draw(_now(client))
        while not _wants_to_end(args.interval):
            _draw(_now(client))
    return 0


def look(client: Client) -> dict[str, Any]:
    """Ask for what is shown."""
    return {"url": client.url, "stats": client.get("/jobs/stats"), "workers": client.get("/workers")["workers"]}


def text(seen: dict[str, Any]) -> str:
    """Return a whole screen, whatever its size."""
    parts = [
        f"millstream at {seen['url']}   {time.strftime('%H:%M:%S')}   q ends",
        overview.summary(seen["stats"]),
        show.records(WORKER, seen["workers"], empty="(no worker is alive)"),
        overview.by("queue", seen["stats"]["by_queue"]),
        overview.by("type", seen["stats"]["by_type"]),
    ]
    return "\n\n".join(parts)


def _now(client: Client) -> str:
    """An API that is away for a moment is no reason to end."""
    try:
        return text(look(client))
    except UnavailableError as error:
        return f"millstream at {client.url}   {time.strftime('%H:%M:%S')}   q ends\n\n{error}"


def _draw(screen: str) -> None:
    """Write over what is there instead of wiping it first, which would flicker."""
    columns, rows = shutil.get_terminal_size()
    lines = [line[:columns] + TO_LINE_END for line in screen.splitlines()[: rows - 1]]
    sys.stdout.write(HOME + "\r\n".join(lines) + TO_SCREEN_END)
    sys.stdout.flush()


def _wants_to_end(seconds: float) -> bool:
    """Wait; True as soon as q is pressed or the terminal is gone."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0]:
            keys = os.read(sys.stdin.fileno(), 100)
            if not keys or b"q" in keys.lower():
                return True
    return False


@contextmanager
def _screen() -> Iterator[None]:
    """Keys come one by one and are not shown; whatever happens, the terminal is as before afterwards."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        sys.stdout.write(BEGIN)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write(END)
        sys.stdout.flush()


def _interval(raw: str) -> float:
    seconds = float(raw)
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("must be from 0.1 to 3600")
    return seconds
