"""`test.*`: jobs that behave badly on purpose, for load and chaos runs. Only when MILLSTREAM_TEST_TYPES=1."""

import asyncio
import os
import signal
import time
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.jobs import Context, job

Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class Anything(msgspec.Struct, frozen=True):
    """Any object. Its fields are skipped, not built: a noop should cost next to nothing."""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object without fields."""


class Duration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long."""

    seconds: Seconds = 1.0


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to say, and on how many first attempts to fail; without `times` on all."""

    message: Annotated[str, Meta(max_length=10_000)] = "test.fail failed, as asked"
    times: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


@job("test.noop")
async def noop(_ctx: Context, _payload: Anything) -> None:
    """Succeed at once."""


@job("test.sleep")
async def sleep(_ctx: Context, payload: Duration) -> dict[str, float]:
    """Wait without using the processor."""
    await asyncio.sleep(payload.seconds)
    return {"seconds": payload.seconds}


@job("test.fail")
async def fail(ctx: Context, payload: Failure) -> dict[str, int]:
    """Fail on the first `times` attempts, then succeed."""
    if payload.times is None or ctx.attempt <= payload.times:
        raise RuntimeError(payload.message)
    return {"attempt": ctx.attempt}


@job("test.crash")
async def crash(_ctx: Context, _payload: Nothing) -> None:
    """Kill the consumer in a way that nothing in it can catch."""
    os.kill(os.getpid(), signal.SIGKILL)


@job("test.hang")
async def hang(_ctx: Context, _payload: Nothing) -> None:
    """Never end, whoever asks."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


@job("test.burn")
def burn(ctx: Context, payload: Duration) -> dict[str, float]:
    """Keep a thread busy for `seconds` of processor time; stops when asked, as a thread cannot be killed."""
    until = time.thread_time() + payload.seconds
    while time.thread_time() < until:
        if ctx.cancelled:
            raise InterruptedError("asked to stop before all seconds were burnt")
    return {"seconds": payload.seconds}
