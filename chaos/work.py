"""Job types that do what a chaos run asks for, and say so to the recorder. Their results name what they told it."""

import asyncio
import ctypes
import os
import secrets
import time
from typing import Literal

import msgspec

from chaos.limit import NO_LIMIT, has_limit
from chaos.recorder import tell
from shared.jobs import Context, PermanentFailure, Snooze, job

MEMORY_MB = 256  # that a handler in a child process may take
MEAL_BYTES = 64 * 1024**2
MEALS = 16
HANGS_SECONDS = 3600.0

Misdeed = Literal["", "raise", "give_up", "snooze", "hang", "block", "starve", "segfault", "exit", "overflow", "poison"]


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`n` is the sender's number of it. It takes so many `seconds`; the first `times` attempts end with the misdeed then."""

    n: int
    seconds: float = 0.0
    times: int = 0
    misdeed: Misdeed = ""
    schedule: str = ""

    @property
    def quiet_seconds(self) -> float:
        """Before anything happens; who blocks does so for all of its time."""
        return 0.0 if self.misdeed == "block" else self.seconds


class Done(msgspec.Struct, frozen=True):
    """Proves which attempt wrote the result."""

    token: str


def _effect(ctx: Context, work: Work) -> Done:
    done = Done(secrets.token_hex(8))
    tell("effect", job=ctx.job_id, n=ctx.attempt, number=work.n, token=done.token)
    return done


def _misbehaves(ctx: Context, work: Work) -> bool:
    """Whether it does; it says so before."""
    if told := bool(work.misdeed) and ctx.attempt <= work.times:
        tell("misdeed", job=ctx.job_id, n=ctx.attempt, what=work.misdeed)
    return told


@job("chaos.work")
async def work(ctx: Context, payload: Work) -> Done | str | msgspec.Raw:
    """Take the time without the processor."""
    await asyncio.sleep(payload.quiet_seconds)
    if _misbehaves(ctx, payload):
        if payload.misdeed == "hang":
            await _hang()
        return _misdeed(payload)
    return _effect(ctx, payload)


@job("chaos.thread", executor="thread")
def threaded(ctx: Context, payload: Work) -> Done | str | msgspec.Raw:
    """Do the same in a thread."""
    return _blocking(ctx, payload)


@job("chaos.process", executor="process", memory_mb=MEMORY_MB)
def in_process(ctx: Context, payload: Work) -> Done | str | msgspec.Raw:
    """Do the same in a child process."""
    return _blocking(ctx, payload)


def _blocking(ctx: Context, payload: Work) -> Done | str | msgspec.Raw:
    time.sleep(payload.quiet_seconds)
    return _misdeed(payload) if _misbehaves(ctx, payload) else _effect(ctx, payload)


def _misdeed(payload: Work) -> str | msgspec.Raw:
    """Do it. Returns only what cannot be a result."""
    _end_of_the_process(payload.misdeed)
    match payload.misdeed:
        case "overflow":
            return "x" * 3_000_000
        case "poison":
            return msgspec.Raw(b"{no JSON")
        case "give_up":
            raise PermanentFailure("given up, as asked")
        case "snooze":
            raise Snooze(0.5)
        case "block":
            time.sleep(payload.seconds)
        case "hang":
            time.sleep(HANGS_SECONDS)
        case "starve":
            _starve()
    raise RuntimeError("failed, as asked")


def _end_of_the_process(misdeed: Misdeed) -> None:
    if misdeed == "segfault":
        ctypes.string_at(0)
    if misdeed == "exit":
        os._exit(3)


async def _hang() -> None:
    """Never end, whoever asks."""
    while True:
        try:
            await asyncio.sleep(HANGS_SECONDS)
        except asyncio.CancelledError:
            continue


def _starve() -> None:
    """Take more memory than a child process of this type may have, or a consumer that has a limit now; all of it is written to."""
    if not has_limit():
        raise RuntimeError(NO_LIMIT)
    meals = [bytearray(b"x") * MEAL_BYTES for _ in range(MEALS)]
    raise RuntimeError(f"{len(meals)} meals were not too many")
