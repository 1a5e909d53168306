"""A worker that was declared dead: it stops what it runs, settles and acks nothing of it, and begins anew under another lease."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from msgspec import Raw

from consumer.heartbeat import Heartbeat
from consumer.runtime import ROLES
from shared import probe
from shared.database import Database
from shared.ids import new_id
from shared.jobs import Context
from shared.lifecycle import Status
from shared.models import Lease, NewJob
from tests.support import process_handlers
from tests.support.consumer import Running, Stage
from tests.support.eventually import eventually

ONLY_WORKER = ("worker",)


async def declare_dead(stage: Stage, worker: str) -> None:
    """What a reaper does after a long silence."""
    await stage.database.fetch("UPDATE leases SET dead_at = now() WHERE worker = $1", worker)


async def quick(_: Context, __: Any) -> None:
    """Succeed."""


async def new_lease(running: Running, before: str) -> str:
    """Wait until the worker works under another name."""
    await eventually(lambda: running.name != before, what="a new lease")
    return running.name


async def test_handlers_are_cancelled_and_nothing_is_settled_or_acked(stage: Stage) -> None:
    """No settle is tried under the lost lease; the entry stays in the old name's list until somebody takes it over."""
    cancelled = asyncio.Event()

    async def long(ctx: Context, _: Any) -> str:
        if ctx.attempt == 1:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()
        return f"by attempt {ctx.attempt}"

    running = await stage.start({"long": long, "quick": quick}, roles=ONLY_WORKER)
    job_id = await stage.submit("long")
    await stage.reaches(job_id, Status.PROCESSING)
    first = running.name
    with probe.watch("settling") as settles, probe.watch("acked") as acks:
        await declare_dead(stage, first)
        await new_lease(running, first)
        await eventually(cancelled.is_set)
        await running.consumer.worker._settler.drained()  # type: ignore[union-attr]
        row = await stage.row(job_id)
    assert not settles
    assert not acks
    assert (row["status"], row["attempts"]) == (Status.PROCESSING, 1)
    [pending] = await stage.broker.client.xpending_range(stage.broker.keys.base, stage.settings.group, "-", "+", 10, first)
    assert pending["times_delivered"] == 1
    await stage.reaches(await stage.submit("quick"), Status.COMPLETED)  # it goes on working

    await stage.start({"long": long}, roles=("reaper", "reconciler", "delayer"), lease_seconds=1.0, heartbeat_seconds=0.2)
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["result"], row["crashes"]) == ("by attempt 2", 1)
    assert await stage.history(job_id) == ["lost"]


async def test_a_result_that_comes_too_late_is_nobodys(stage: Stage) -> None:
    """The handler ignores its end and returns after the job has a newer owner: the newer result stands."""
    over = asyncio.Event()

    async def stubborn(ctx: Context, _: Any) -> str:
        while ctx.attempt == 1 and not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()
        return f"by attempt {ctx.attempt}"

    running = await stage.start({"stubborn": stubborn}, lease_seconds=1.0, heartbeat_seconds=0.2)
    job_id = await stage.submit("stubborn")
    await stage.reaches(job_id, Status.PROCESSING)
    await declare_dead(stage, running.name)
    await stage.reaches(job_id, Status.COMPLETED)
    over.set()
    await eventually(stage.is_empty)
    assert (await stage.row(job_id))["result"] == "by attempt 2"


async def test_a_settle_that_is_too_late_is_refused_by_the_fence(stage: Stage) -> None:
    """Declared dead and reclaimed between the handler's end and the settle: PostgreSQL says no, the newer run counts."""
    runs: list[int] = []
    gate = asyncio.Event()

    async def count(ctx: Context, _: Any) -> int:
        runs.append(ctx.attempt)
        if ctx.attempt == 1:
            await gate.wait()
        return ctx.attempt

    slow = await stage.start({"count": count}, roles=ONLY_WORKER, heartbeat_seconds=30.0)  # it does not hear that it is dead
    job_id = await stage.submit("count")
    await stage.reaches(job_id, Status.PROCESSING)
    await declare_dead(stage, slow.name)
    with probe.watch("settled") as settled:
        assert await stage.jobs.reclaim([job_id], 3)
        gate.set()
        await eventually(lambda: settled, what="the refused settle")
        row = await stage.row(job_id)
    assert (row["status"], row["result"]) == (Status.PENDING, None)
    await slow.stop()
    await stage.start({"count": count})
    assert (await stage.reaches(job_id, Status.COMPLETED))["result"] == 2
    assert runs == [1, 2]


async def test_a_claim_that_is_answered_after_the_lease_was_lost_starts_nothing(stage: Stage) -> None:
    """The new lease arrives while a claim under the old one is under way: what it brought is fenced already, and must run later."""
    runs: list[int] = []

    async def count(ctx: Context, _: Any) -> int:
        runs.append(ctx.attempt)
        return ctx.attempt

    running = await stage.start({"count": count}, lease_seconds=1.0, heartbeat_seconds=0.2)
    first = running.name
    job = NewJob(id=new_id(), type="count", payload=Raw(b"{}"))
    await stage.jobs.submit([job])
    rival = Database(stage.settings.database_url, "rival")
    async with rival.transaction() as transaction:
        await transaction.fetch("SELECT FROM jobs WHERE id = $1 FOR UPDATE", job.id)
        await stage.broker.publish([("normal", job.id)])
        await eventually(lambda: _someone_waits(stage), what="a claim that waits for the row")
        await declare_dead(stage, first)
        await new_lease(running, first)
    await rival.close()
    row = await stage.reaches(job.id, Status.COMPLETED)
    assert runs == [2]
    assert (row["attempts"], row["result"]) == (2, 2)


async def _someone_waits(stage: Stage) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await stage.database.fetch_value(query))


def in_thread(_: Context, __: Any) -> None:
    """Succeed."""


@pytest.mark.parametrize("executor", ["async", "thread", "process"])
async def test_who_may_have_lost_its_lease_begins_nothing(executor: str, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was frozen between claim and start, or its beats do not get through: nobody knows yet who runs the job. It is handed back."""
    in_doubt: list[bool] = []
    holds = Heartbeat.holds
    monkeypatch.setattr(Heartbeat, "holds", lambda self, lease: not in_doubt and holds(self, lease))
    kind, modules = ("p.pid", [process_handlers.MODULE]) if executor == "process" else ("quick", [])
    handlers = {"quick": quick if executor == "async" else in_thread}
    with probe.on("claimed", lambda _: in_doubt.append(True)), probe.on("settled", lambda _: in_doubt.clear()):
        job_id = await stage.submit(kind)
        await stage.start(handlers, modules=modules)
        await eventually(lambda: stage.history(job_id))
    in_doubt.clear()  # it may have claimed the job once more meanwhile
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert await stage.history(job_id) == ["handed_back"] * (row["attempts"] - 1)
    assert (row["failures"], row["crashes"]) == (0, 0)


async def test_who_may_have_lost_its_lease_claims_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its beats do not get through: it leaves the job alone, one whose beats do runs it, and it works on when it is sure again."""
    doubts: list[str] = []
    certain: list[bool] = []
    holds = Heartbeat.holds

    def in_doubt(self: Heartbeat, lease: Lease) -> bool:
        if self._roles == ROLES or certain:
            return holds(self, lease)
        doubts.append(lease.worker)
        return False

    monkeypatch.setattr(Heartbeat, "holds", in_doubt)
    doubtful = await stage.start({"quick": quick}, roles=ONLY_WORKER)
    with probe.watch("claimed") as claims:
        job_id = await stage.submit("quick")
        asked = len(doubts)
        await eventually(lambda: len(doubts) > asked + 2, what="a worker that asks again and again whether it is sure")
        assert not claims
    sure = await stage.start({"quick": quick})
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["worker"], row["attempts"], await stage.history(job_id)) == (sure.name, 1, [])
    await sure.stop()
    certain.append(True)
    assert (await stage.reaches(await stage.submit("quick"), Status.COMPLETED))["worker"] == doubtful.name


async def test_a_later_lease_is_no_reason_to_begin_what_was_claimed_under_an_earlier_one(stage: Stage) -> None:
    """The heartbeat knows of the new lease before the worker does."""
    running = await stage.start({"quick": quick})
    lease = running.consumer.worker._current_lease()  # type: ignore[union-attr]
    heartbeat = running.consumer._heartbeat
    assert heartbeat.holds(lease)
    await declare_dead(stage, running.name)
    await new_lease(running, lease.worker)
    assert not heartbeat.holds(lease)
    assert heartbeat.holds(running.consumer.worker._current_lease())  # type: ignore[union-attr]
