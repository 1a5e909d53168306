"""Handlers that run in child processes, most of which do what handlers must not. Loaded through MILLSTREAM_HANDLERS."""

import ctypes
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from shared.jobs import Context, Interrupted, PermanentFailure, RetryAfter, Snooze, job

MODULE = __name__


class Where(msgspec.Struct):
    """A folder in which a handler leaves marks."""

    folder: str = ""


def mark(where: Where, name: str, text: str = "") -> None:
    """Leave a file, whole or not at all."""
    draft = Path(where.folder, f".{name}")
    draft.write_text(text)
    draft.rename(Path(where.folder, name))


@job("p.pid", executor="process")
def pid(ctx: Context, _: Any) -> dict[str, Any]:
    """Say where it runs."""
    return {"pid": os.getpid(), "job_id": ctx.job_id, "attempt": ctx.attempt, "settings": ctx.resources["settings"].stream}


@job("p.sleep", executor="process")
def sleep(ctx: Context, payload: dict[str, Any]) -> int:
    """Take its time on the first attempts."""
    if ctx.attempt <= payload.get("attempts", 1):
        time.sleep(payload["seconds"])
    return os.getpid()


@job("p.sigkill", executor="process")
def sigkill(_: Context, __: Any) -> None:
    """Die as the kernel kills when memory ends."""
    os.kill(os.getpid(), signal.SIGKILL)


@job("p.segfault", executor="process")
def segfault(_: Context, __: Any) -> None:
    """Read where nothing is."""
    ctypes.string_at(0)


@job("p.exit", executor="process")
def exit_(_: Context, __: Any) -> None:
    """End the process without a word."""
    os._exit(3)


@job("p.exit0", executor="process")
def exit_0(_: Context, __: Any) -> None:
    """End the process as if all were well."""
    os._exit(0)


@job("p.memory", executor="process", memory_mb=64)
def memory(_: Context, payload: dict[str, int]) -> int:
    """Allocate so many MiB."""
    return len(bytearray(payload["mb"] * 1024 * 1024))


@job("p.raise", executor="process")
def raise_(ctx: Context, payload: dict[str, str]) -> int:
    """Raise what is asked for, at first."""
    errors: dict[str, BaseException] = {
        "system_exit": SystemExit(3),
        "keyboard": KeyboardInterrupt(),
        "permanent": PermanentFailure("never"),
        "retry_after": RetryAfter(0.1, "later"),
        "snooze": Snooze(0.1),
        "huge": RuntimeError("x" * 10_000_000),
        "unspeakable": UnspeakableError(),
        "interrupted": Interrupted("of its own"),
        "surrogate": RuntimeError("a\ud800b"),
    }
    if ctx.attempt == 1 or "always" in payload:
        raise errors[payload["what"]]
    return ctx.attempt


class UnspeakableError(Exception):
    """Has no words, and ends the process of whoever asks."""

    def __str__(self) -> str:
        raise SystemExit(3)


@job("p.return", executor="process")
def return_(_: Context, payload: dict[str, str]) -> Any:
    """Return what cannot be kept."""
    return {"lambda": lambda: None, "huge": "x" * 50_000_000, "surrogate": "a\ud800b", "none": None}[payload["what"]]


@job("p.flood", executor="process")
def flood(_: Context, payload: dict[str, int]) -> str:
    """Print so many lines, and one that does not end."""
    for number in range(payload["lines"]):
        print(f"line {number}")  # noqa: T201
    os.write(1, b"y" * 1_000_000)
    sys.stderr.write("the last words\n")
    return "done"


@job("p.close", executor="process")
def close(_: Context, __: Any) -> None:
    """Close every descriptor but the standard ones, and end."""
    os.closerange(3, 256)


@job("p.hang_up", executor="process")
def hang_up(_: Context, __: Any) -> None:
    """Close every connection in the direction away from here, and go on."""
    for descriptor in range(3, 256):
        try:
            socket.socket(fileno=os.dup(descriptor)).shutdown(socket.SHUT_WR)
        except OSError:
            continue
    time.sleep(60)


@job("p.garbage", executor="process")
def garbage(_: Context, __: Any) -> None:
    """Write into every descriptor that it can find."""
    for descriptor in range(3, 256):
        try:
            os.write(descriptor, b"\xff" * 64)
        except OSError:
            continue
    time.sleep(60)


@job("p.fork", executor="process")
def fork(_: Context, __: Any) -> str:
    """Fork, and have both return."""
    return "parent" if os.fork() else "child"


@job("p.family", executor="process")
def family(_: Context, where: Where) -> None:
    """Start a program that outlasts the handler, and die."""
    program = subprocess.Popen(["sleep", "300"])
    mark(where, "family", str(program.pid))
    os._exit(4)


@job("p.leftover", executor="process")
def leftover(ctx: Any, where: Where) -> None:
    """Leave a thread behind that calls when the next job runs."""

    def later() -> None:
        while not Path(where.folder, "next").exists():
            time.sleep(0.01)
        try:
            ctx.call("record", "too late")
        except RuntimeError as error:
            mark(where, "refused", str(error))

    threading.Thread(target=later, daemon=True).start()


@job("p.next", executor="process")
def next_(_: Context, where: Where) -> None:
    """Run until the thread that was left behind has called."""
    mark(where, "next")
    while not Path(where.folder, "refused").exists():
        time.sleep(0.01)


@job("p.soft", executor="process")
def soft(ctx: Context, where: Where) -> str:
    """Return what there is when it is asked to end."""
    try:
        mark(where, "began")
        time.sleep(60)
    except Interrupted as request:
        mark(where, "asked", f"{type(request).__name__} {ctx.cancelled}")
        return "partial"
    return "whole"


@job("p.obedient", executor="process")
def obedient(_: Context, where: Where) -> None:
    """Clean up when it is asked to end, and let the request pass."""
    try:
        mark(where, "began", str(os.getpid()))
        time.sleep(60)
    finally:
        mark(where, "cleaned")


@job("p.deaf", executor="process")
def deaf(_: Context, where: Where) -> None:
    """Refuse to end."""
    mark(where, "began", str(os.getpid()))
    while True:
        try:
            time.sleep(60)
        except Interrupted as request:
            mark(where, "asked", type(request).__name__)


@job("p.busy", executor="process")
def busy(_: Context, where: Where) -> None:
    """Never come back to Python, where a request to end could be raised."""
    mark(where, "began", str(os.getpid()))
    sum(itertools.repeat(1))


@job("p.frozen", executor="process")
def frozen(_: Context, where: Where) -> None:
    """Stop the whole process, its listening thread, too."""
    mark(where, "began", str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)


@job("p.log", executor="process")
def log(ctx: Context, _: Any) -> None:
    """Say something in every way there is."""
    ctx.log.warning("by_structlog", colour="blue", odd=object, event_="x")
    logging.getLogger("a.library").warning("by %s", "logging")
    logging.getLogger("a.library").log(35, "at a level of its own")
    logging.getLogger("a.library").warning("too few %s %s", "words")  # noqa: PLE1206 - on purpose
    ctx.log.debug("too_quiet")
    print("by print")  # noqa: T201
    os.system("echo by a program")  # noqa: S605
    ctx.log.info("a\ud800b", fields={1: "\ud800"})


@job("p.chatter", executor="process")
def chatter(ctx: Context, payload: dict[str, int]) -> None:
    """Log so many lines as fast as it can."""
    for number in range(payload["lines"]):
        ctx.log.info("chatter", number=number)


@job("p.call", executor="process")
def call(ctx: Any, payload: dict[str, Any]) -> Any:
    """Call what is asked for, and say what came back."""
    try:
        return ctx.call(payload["method"], *payload.get("args", []))
    except Exception as error:  # noqa: BLE001 - that is the answer
        return {"error": type(error).__name__, "message": str(error), **vars(error)}


@job("p.leak", executor="process")
def leak(_: Context, payload: dict[str, int]) -> int:
    """Use much memory once."""
    return os.getpid() if b"x" * (payload["mb"] * 1024 * 1024) else 0
