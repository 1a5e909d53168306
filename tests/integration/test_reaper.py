"""The dead are noticed, their jobs run again, and the living are left alone."""

from dataclasses import replace
from typing import Any

import pytest

from consumer.heartbeat import Heartbeat
from consumer.reaper import Reaper
from consumer.triage import Triage
from shared import probe
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.ids import new_id
from shared.job_store import JobStore
from shared.jobs import Context
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import Entry, Lease
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.eventually import eventually

QUICK: dict[str, Any] = {"lease_seconds": 1.0, "heartbeat_seconds": 0.2}
LONG_AGO_MS = 3_600_000


async def noop(_: Context, __: Any) -> str:
    """Succeed."""
    return "done"


async def taken(stage: Stage, leases: LeaseStore, *, seconds: float = 1.0, **fields: Any) -> tuple[str, Lease, Entry]:
    """A job that a worker has read and claimed, and that worker's lease; nobody beats for it."""
    job_id = await stage.submit("noop", **fields)
    lease = await leases.open(replace(stage.settings, lease_seconds=seconds), ["worker"], ["noop"])
    [entry] = await stage.broker.take(lease.worker, 1)
    assert await stage.jobs.claim([job_id], lease, ["noop"])
    return job_id, lease, entry


def reaper_of(settings: Settings, jobs: JobStore, leases: LeaseStore, broker: Broker, database: Database) -> Reaper:
    """A reaper whose own heartbeat has not begun: it declares nobody dead, and does the rest."""
    triage = Triage(jobs, DispatchStore(database), broker, settings.max_crashes)
    return Reaper(settings, leases, broker, triage, Heartbeat(settings, (), (), lambda _: None))


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
async def test_a_dead_workers_job_runs_again(priority: str, stage: Stage, leases: LeaseStore) -> None:
    """A worker reads and claims a job and is never heard of again: the job is reclaimed and completed, one crash is counted."""
    job_id, dead, _ = await taken(stage, leases, priority=priority)
    await stage.start({"noop": noop}, **QUICK)
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["attempts"], row["crashes"], row["failures"]) == (2, 1, 0)
    assert await stage.history(job_id) == ["lost"]
    assert await stage.database.fetch_value("SELECT dead_at IS NOT NULL FROM leases WHERE id = $1", dead.id)


async def test_a_dead_workers_unclaimed_entry_is_delivered_again(stage: Stage, leases: LeaseStore) -> None:
    """A worker died between reading and claiming: the job waits in PostgreSQL, its entry only in a dead worker's list."""
    job_id = await stage.submit("noop")
    dead = await leases.open(replace(stage.settings, lease_seconds=1.0), ["worker"], ["noop"])
    assert len(await stage.broker.take(dead.worker, 1)) == 1
    await stage.start({"noop": noop}, **QUICK)
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["attempts"], row["crashes"]) == (1, 0)


async def test_a_settled_jobs_entry_is_dropped_and_nothing_runs_again(stage: Stage, leases: LeaseStore) -> None:
    """A worker died between settling and acking: the reaper finds a finished row."""
    job_id, dead, _ = await taken(stage, leases)
    assert await stage.jobs.succeed([(job_id, 1, b"1")], dead.id)
    await stage.start({"noop": noop}, **QUICK)
    await eventually(stage.is_empty)
    assert (await stage.row(job_id))["attempts"] == 1


async def test_a_job_that_brings_workers_down_is_buried(stage: Stage, leases: LeaseStore) -> None:
    """The crash budget is spent: FAILED with the reason, a dead letter, and no further worker is risked."""
    job_id, _, _ = await taken(stage, leases)
    await stage.start({"noop": noop}, max_crashes=1, **QUICK)
    row = await stage.reaches(job_id, Status.FAILED)
    assert (row["reason"], row["crashes"], row["attempts"]) == ("crashed", 1, 1)
    letter = await stage.letter_of(row)
    assert (letter["reason"], letter["attempts"], letter["type"]) == ("crashed", "1", "noop")


async def test_a_dead_entry_behind_many_living_ones_is_found(
    stage: Stage, leases: LeaseStore, jobs: JobStore, broker: Broker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XAUTOCLAIM looks at no more than 1000 entries a call, and each that is left alone counts: the cursor must go on."""
    monkeypatch.setattr("consumer.reaper.PAGES", 1)
    stage.leftovers = True
    living = await leases.open(replace(stage.settings, lease_seconds=60), ["worker"], ["noop"])
    ids = await stage.submit_many(1100, "noop")
    entries = await broker.take(living.worker, 2000)
    assert len(await jobs.claim(ids, living, ["noop"])) == 1100
    job_id, dead, entry = await taken(stage, leases)
    await leases.close(dead)
    for chunk in (entries[:600], [*entries[600:], entry]):
        names = [item.entry_id for item in chunk]
        await broker.client.xclaim(broker.keys.base, stage.settings.group, living.worker, 0, names, idle=LONG_AGO_MS, justid=True)

    reaper = reaper_of(replace(stage.settings, lease_seconds=60), jobs, leases, broker, database)
    for _ in range(12):
        await reaper.step()
    assert (await stage.row(job_id))["status"] == Status.PENDING
    assert await database.fetch_value("SELECT count(*) FROM jobs WHERE status = 'PROCESSING'") == 1100


async def test_a_stale_worker_cannot_steal_a_job_back(
    stage: Stage, leases: LeaseStore, jobs: JobStore, broker: Broker, database: Database
) -> None:
    """A wakes up after B took over: A's settles win nothing, and A's ack does not touch B's entry."""
    stage.leftovers = True
    job_id, lease_a, entry_a = await taken(stage, leases)
    await leases.close(lease_a)  # declared dead
    await broker.client.xclaim(broker.keys.base, stage.settings.group, lease_a.worker, 0, [entry_a.entry_id], idle=LONG_AGO_MS)
    await reaper_of(stage.settings, jobs, leases, broker, database).step()
    lease_b = await leases.open(stage.settings, ["worker"], ["noop"])
    [entry_b] = await broker.take(lease_b.worker, 10)
    [claimed] = await jobs.claim([job_id], lease_b, ["noop"])
    assert (entry_b.job_id, claimed.attempt) == (job_id, 2)

    assert await jobs.succeed([(job_id, 1, b"1")], lease_a.id) == set()
    assert await jobs.succeed([(job_id, 2, b"1")], lease_a.id) == set()
    assert await jobs.retry([(job_id, 1, 0.0, "", "")], lease_a.id) == {}
    assert await jobs.hand_back([(job_id, 1)], lease_a.id) == set()
    assert await jobs.claim([job_id], lease_a, ["noop"]) == []
    await broker.ack([entry_a])
    [pending] = await broker.client.xpending_range(broker.keys.base, stage.settings.group, "-", "+", 10)
    assert (pending["message_id"].decode(), pending["consumer"].decode()) == (entry_b.entry_id, lease_b.worker)
    assert await jobs.succeed([(job_id, 2, b"1")], lease_b.id) == {job_id}


async def test_a_consumer_is_removed_only_when_nothing_is_pending_with_it(broker: Broker) -> None:
    """XGROUP DELCONSUMER drops a pending list with all that is in it: only an empty one may go."""
    for priority in ("high", "low"):
        await broker.publish([(priority, new_id())])
    entries = await broker.take("gone", 2)
    assert not await broker.drop_consumer("gone")
    assert (await broker.depths())["pending"] == 2
    await broker.ack(entries[:1])
    assert not await broker.drop_consumer("gone")
    await broker.ack(entries[1:])
    assert await broker.drop_consumer("gone")
    assert await broker.consumers() == set()


async def test_names_of_the_dead_disappear_from_the_group(stage: Stage, leases: LeaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start makes a new consumer name; those of the dead would pile up."""
    monkeypatch.setattr("consumer.reaper.GHOSTS_EVERY", 1)
    job_id, dead, _ = await taken(stage, leases)
    running = await stage.start({"noop": noop}, **QUICK)
    await stage.reaches(job_id, Status.COMPLETED)

    async def forgotten() -> bool:
        return dead.worker not in await stage.broker.consumers()

    await eventually(forgotten)
    assert running.name in await stage.broker.consumers()


async def test_after_an_outage_of_postgresql_nobody_is_reclaimed(stage: Stage, leases: LeaseStore) -> None:
    """While PostgreSQL was away nobody could say that they live. All leases are old then: a reaper gives them the time to be renewed."""
    stage.leftovers = True  # the job stays with its living worker
    wire = await stage.wire(stage.settings.database_url)
    with probe.watch("reaped") as passes:
        await stage.start(roles=("reaper", "reconciler"), database_url=wire.url, **QUICK)
        await eventually(lambda: True in passes, what="a reaper that may judge")
        job_id, living, _ = await taken(stage, leases)
        wire.refuse()
        await _grow_old(stage, living)
        passes.clear()
        wire.heal()
        await eventually(lambda: passes, what="a pass after the outage")
        assert await leases.beat(living, draining=False), "declared dead before it could say that it lives"
        for _ in range(2):
            passes.clear()

            async def beaten() -> bool:
                assert await leases.beat(living, draining=False)
                return True in passes

            await eventually(beaten, what="a reaper that may judge again")
    row = await stage.row(job_id)
    assert (row["status"], row["crashes"]) == (Status.PROCESSING, 0)


async def _grow_old(stage: Stage, lease: Lease) -> None:
    async def old() -> bool:
        query = "SELECT heartbeat_at < now() - make_interval(secs => seconds + 0.3) FROM leases WHERE id = $1"
        return bool(await stage.database.fetch_value(query, lease.id))

    await eventually(old)
