"""SIGTERM: what runs may finish within the grace time, the rest is handed back and runs elsewhere, and no trace is left."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from shared.jobs import Context
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.eventually import eventually


async def short(_: Context, __: Any) -> str:
    """Take half a second."""
    await asyncio.sleep(0.5)
    return "finished"


async def long(ctx: Context, _: Any) -> int:
    """Take for ever at first."""
    if ctx.attempt == 1:
        await asyncio.sleep(60)
    return ctx.attempt


async def test_running_jobs_finish_within_the_grace_time(stage: Stage) -> None:
    """They complete under their first attempt; the process then ends without waiting any longer."""
    running = await stage.start({"short": short}, grace_seconds=20.0)
    ids = await stage.submit_many(5, "short")
    for job_id in ids:
        await stage.reaches(job_id, Status.PROCESSING)
    began = time.monotonic()
    await running.stop()
    assert time.monotonic() - began < 5
    for job_id in ids:
        row = await stage.row(job_id)
        assert (row["status"], row["attempts"]) == (Status.COMPLETED, 1)
    await _no_trace(stage, running.name)


async def test_what_does_not_finish_is_handed_back_and_runs_elsewhere(stage: Stage) -> None:
    """The handler is cancelled after the grace time; the job is PENDING again with no failure counted, and another worker runs it."""
    running = await stage.start({"long": long}, grace_seconds=0.2, lease_seconds=60.0)
    job_id = await stage.submit("long")
    await stage.reaches(job_id, Status.PROCESSING)
    await running.stop()
    row = await stage.row(job_id)
    assert (row["status"], row["lease_id"], row["failures"], row["crashes"]) == (Status.PENDING, None, 0, 0)
    assert await stage.history(job_id) == ["handed_back"]
    assert (await stage.broker.depths())["pending"] == 0
    await _no_trace(stage, running.name)

    await stage.start({"long": long})
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["result"], row["attempts"], row["failures"]) == (2, 2, 0)


async def test_a_handler_that_ignores_the_end_is_handed_back_too(stage: Stage) -> None:
    """It cannot be stopped, but its job can go on elsewhere; its late outcome is nobody's."""
    over = asyncio.Event()

    async def hang(ctx: Context, _: Any) -> str:
        while ctx.attempt == 1 and not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()
        return f"by attempt {ctx.attempt}"

    running = await stage.start({"hang": hang}, grace_seconds=0.1)
    job_id = await stage.submit("hang")
    await stage.reaches(job_id, Status.PROCESSING)
    await running.stop()
    assert running.consumer.worker is not None
    assert running.consumer.worker.in_flight.abandoned == 1
    await stage.start({"hang": hang})
    row = await stage.reaches(job_id, Status.COMPLETED)
    over.set()
    assert row["result"] == "by attempt 2"


async def test_a_job_that_fails_while_its_worker_drains_has_failed(stage: Stage) -> None:
    """An outcome within the grace time counts as any other."""
    gate = asyncio.Event()

    async def fail(_: Context, __: Any) -> None:
        await gate.wait()
        raise RuntimeError("it failed")

    running = await stage.start({"fail": fail})
    job_id = await stage.submit("fail", max_attempts=1)
    await stage.reaches(job_id, Status.PROCESSING)
    running.consumer.stop()
    gate.set()
    await running.task
    row = await stage.row(job_id)
    assert (row["status"], row["error"]) == (Status.FAILED, "RuntimeError: it failed")
    assert len(await stage.letters()) == 1


async def test_a_draining_worker_reads_nothing_and_says_so(stage: Stage) -> None:
    """Jobs that come meanwhile stay for others; the lease shows that it drains."""
    gate = asyncio.Event()

    async def wait(_: Context, __: Any) -> None:
        await gate.wait()

    running = await stage.start({"wait": wait}, grace_seconds=20.0)
    await stage.reaches(await stage.submit("wait"), Status.PROCESSING)
    running.consumer.stop()

    async def draining() -> bool:
        return bool(await stage.database.fetch_value("SELECT draining FROM leases"))

    await eventually(draining)
    later = await stage.submit("wait")
    assert (await stage.broker.depths())["pending"] == 1
    gate.set()
    await running.task
    assert (await stage.row(later))["attempts"] == 0
    await stage.start({"wait": wait})
    await stage.reaches(later, Status.COMPLETED)


async def test_a_worker_without_a_lease_can_be_stopped(stage: Stage) -> None:
    """PostgreSQL is away from the start: the worker waits for its lease, and ends when told."""
    wire = await stage.wire(stage.settings.database_url)
    wire.refuse()
    starting = asyncio.create_task(stage.start({"short": short}, database_url=wire.url))
    await eventually(lambda: stage._started and not stage._started[0].task.done())
    began = time.monotonic()
    await stage._started[0].stop()
    assert time.monotonic() - began < 5
    await starting


async def test_a_worker_waits_for_postgresql_and_then_works(stage: Stage) -> None:
    """Started in the wrong order, it is ready as soon as the database is."""
    wire = await stage.wire(stage.settings.database_url)
    wire.refuse()
    starting = asyncio.create_task(stage.start({"short": short}, database_url=wire.url))
    await eventually(lambda: stage._started)
    wire.heal()
    await starting
    await stage.reaches(await stage.submit("short"), Status.COMPLETED)


async def _no_trace(stage: Stage, name: str) -> None:
    assert name
    assert name not in await stage.broker.consumers()
    assert await stage.database.fetch_value("SELECT dead_at IS NOT NULL FROM leases WHERE worker = $1", name)
