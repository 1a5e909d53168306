"""`test.*`: that each misbehaves exactly as told."""

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from consumer.handlers.test_types import Nothing, hang
from tests.support.handler_context import HandlerContext, run_handler

if TYPE_CHECKING:
    from collections.abc import Coroutine


async def test_noop_takes_anything() -> None:
    """A noop succeeds with nothing, whatever fields it is given."""
    assert await run_handler("test.noop", {"a": [1, {"b": None}]}, HandlerContext()) is None


async def test_sleep_sleeps() -> None:
    """A sleep takes its time."""
    started = time.monotonic()
    assert await run_handler("test.sleep", {"seconds": 0.05}, HandlerContext()) == {"seconds": 0.05}
    assert time.monotonic() - started >= 0.05


async def test_fail_fails_always_or_so_many_times() -> None:
    """Without `times` every attempt fails with the message, with it only the first ones."""
    with pytest.raises(RuntimeError, match="oh no"):
        await run_handler("test.fail", {"message": "oh no"}, HandlerContext(attempt=99))
    with pytest.raises(RuntimeError):
        await run_handler("test.fail", {"times": 2}, HandlerContext(attempt=2))
    assert await run_handler("test.fail", {"times": 2}, HandlerContext(attempt=3)) == {"attempt": 3}


def test_crash_kills_its_process() -> None:
    """A crash is a SIGKILL to the process that runs it."""
    program = "import asyncio\nfrom consumer.handlers.test_types import Nothing, crash\nasyncio.run(crash(None, Nothing()))\n"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == -signal.SIGKILL


async def test_hang_outlives_cancellation() -> None:
    """A hanging job goes on hanging, however often it is cancelled."""
    hanging = cast("Coroutine[Any, Any, None]", hang(HandlerContext(), Nothing()))
    hanging.send(None)
    for _ in range(3):
        hanging.throw(asyncio.CancelledError())  # would raise if the coroutine ended
    hanging.close()


async def test_burn_burns_and_stops_when_asked() -> None:
    """A burning job uses processor time in a thread, and gives up when it is asked to stop."""
    before = time.process_time()
    assert await run_handler("test.burn", {"seconds": 0.05}, HandlerContext()) == {"seconds": 0.05}
    assert time.process_time() - before >= 0.05
    with pytest.raises(InterruptedError):
        await run_handler("test.burn", {"seconds": 86_400}, HandlerContext(cancelled=True))


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("test.sleep", {"seconds": -1}),
        ("test.burn", {"seconds": 1e9}),
        ("test.hang", {"x": 1}),
        ("test.crash", {"x": 1}),
    ],
)
async def test_bad_payloads_are_refused(name: str, payload: dict[str, Any]) -> None:
    """All but the noop refuse unknown fields and durations beyond a day."""
    with pytest.raises(msgspec.ValidationError):
        await run_handler(name, payload, HandlerContext())
