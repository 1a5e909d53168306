"""Handlers that take too long: stopped when they listen, abandoned when they do not, and never at their neighbours' cost."""

import asyncio
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from shared.jobs import Context
from shared.lifecycle import Status
from tests.support.consumer import Stage


async def neighbour(_: Context, __: Any) -> str:
    """Take a moment."""
    await asyncio.sleep(0.4)
    return "unharmed"


async def test_a_handler_is_cancelled_when_its_time_is_up(stage: Stage) -> None:
    """Its clean-up runs, the attempt counts as a failure with the reason, and the neighbour goes on."""
    heard: list[bool] = []

    async def slow(ctx: Context, _: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            heard.append(ctx.cancelled)

    await stage.start({"slow": slow, "neighbour": neighbour})
    beside = await stage.submit("neighbour")
    row = await stage.reaches(await stage.submit("slow", timeout=0.2, max_attempts=2), Status.FAILED)
    assert heard == [True, True]
    assert (row["reason"], row["failures"], row["error"]) == ("attempts_spent", 2, "timeout: stopped after 0.2 s")
    assert (await stage.reaches(beside, Status.COMPLETED))["attempts"] == 1


async def test_a_handler_that_ignores_it_is_abandoned(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like test.hang it swallows every cancellation: its attempt ends without it, its slot is free, it is counted."""
    monkeypatch.setattr("consumer.in_flight.OBEY_SECONDS", 0.2)
    over = asyncio.Event()

    async def hang(_: Context, __: Any) -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    running = await stage.start({"hang": hang, "neighbour": neighbour}, concurrency=1)
    row = await stage.reaches(await stage.submit("hang", timeout=0.2, max_attempts=1), Status.FAILED)
    assert row["error"] == "timeout: stopped after 0.2 s"
    assert (await stage.reaches(await stage.submit("neighbour"), Status.COMPLETED))["result"] == "unharmed"
    assert running.consumer.worker is not None
    assert running.consumer.worker.in_flight.abandoned == 1
    over.set()


async def test_a_busy_thread_is_asked_to_stop(stage: Stage) -> None:
    """A thread cannot be killed; it is told by `ctx.cancelled`, and its attempt ends in time either way."""
    ended = threading.Event()

    def busy(ctx: Context, _: Any) -> None:
        while not ctx.cancelled:
            time.sleep(0.01)
        ended.set()

    await stage.start({"busy": busy})
    row = await stage.reaches(await stage.submit("busy", timeout=0.2, max_attempts=1), Status.FAILED)
    assert row["error"] == "timeout: stopped after 0.2 s"
    assert await asyncio.to_thread(ended.wait, 5)


async def test_a_handler_that_ends_well_while_it_is_told_to_stop_has_ended_well(stage: Stage) -> None:
    """It used its notice to finish: the work is done, so it is not done again."""

    async def finishing(_: Context, __: Any) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "just in time"
        return "never"

    await stage.start({"finishing": finishing})
    row = await stage.reaches(await stage.submit("finishing", timeout=0.2), Status.COMPLETED)
    assert (row["result"], row["attempts"]) == ("just in time", 1)


async def test_a_handler_that_blocks_the_loop_loses_no_lease(stage: Stage) -> None:
    """Four seconds without the loop under a lease of three: the heartbeat has a thread of its own, so nothing is reclaimed or run again."""

    async def blocking(_: Context, __: Any) -> str:
        time.sleep(4)  # noqa: ASYNC251 - that is the fault
        return "done"

    await stage.start({"blocking": blocking}, lease_seconds=3.0, heartbeat_seconds=1.0)
    row = await stage.reaches(await stage.submit("blocking"), Status.COMPLETED)
    assert (row["attempts"], row["crashes"], row["result"]) == (1, 0, "done")
    assert await stage.database.fetch_value("SELECT count(*) FROM leases") == 1
