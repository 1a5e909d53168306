"""Redis may lose anything at any time: what is open in PostgreSQL comes back, once, and nothing else does."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from consumer.reconciler import Reconciler
from consumer.triage import Triage
from shared import probe
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import SQL as DISPATCH
from shared.dispatch_store import DispatchStore
from shared.ids import new_id
from shared.job_store import JobStore
from shared.jobs import Context
from shared.keys import PRIORITIES, Keys
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import NewJob
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.make import TYPES, in_state, open_lease, running, submitted

NOBODY = 3


@pytest.fixture
def reconciler(jobs: JobStore, dispatch: DispatchStore, leases: LeaseStore, broker: Broker) -> Reconciler:
    """One that a test steps by hand."""
    return Reconciler(dispatch, leases, broker, Triage(jobs, dispatch, broker, NOBODY))


@pytest.fixture
async def settled_in(reconciler: Reconciler) -> Reconciler:
    """One that has made its first round, on an empty Redis."""
    await reconciler.step()
    return reconciler


async def noop(_: Context, __: Any) -> None:
    """Succeed."""


async def age(database: Database, seconds: float) -> None:
    """Let so much time pass for all jobs, as far as their rows can tell."""
    shift = "updated_at = updated_at - $1 * interval '1 second', run_at = run_at - $1 * interval '1 second'"
    await database.fetch(f"UPDATE jobs SET {shift}", seconds)  # noqa: S608 - our own text


async def in_streams(broker: Broker) -> dict[str, list[str]]:
    """Return the job ids in each stream."""
    found = {}
    for priority in PRIORITIES:
        items = await broker.client.xrange(broker.keys.stream(priority))
        found[priority] = [fields[b"id"].decode() for _, fields in items]
    return found


async def test_a_job_without_an_entry_is_added_again_once(
    settled_in: Reconciler, jobs: JobStore, broker: Broker, database: Database
) -> None:
    """A producer died between commit and publish: each job comes into its own stream, and the next rounds leave it alone."""
    ids = {priority: await submitted(jobs, priority=priority) for priority in PRIORITIES}
    await settled_in.step()
    assert await broker.client.xlen(broker.keys.base) == 0, "its publish may still be under way"
    await age(database, 10)
    for _ in range(3):
        await settled_in.step()
    assert await in_streams(broker) == {priority: [job_id] for priority, job_id in ids.items()}


async def test_an_undelivered_backlog_is_not_added_again(
    settled_in: Reconciler, jobs: JobStore, broker: Broker, database: Database
) -> None:
    """Old jobs whose entries nobody has read yet wait their turn, however long that takes."""
    ids = [await submitted(jobs) for _ in range(5)]
    await broker.publish(("normal", job_id) for job_id in ids)
    first = (await broker.client.xrange(broker.keys.base))[0][0].decode()
    assert first
    await age(database, 2)  # less than the margin older than the oldest unread entry
    for _ in range(3):
        await settled_in.step()
    assert (await in_streams(broker))["normal"] == ids


async def test_a_clock_that_was_set_back_adds_no_backlog_again(
    settled_in: Reconciler, jobs: JobStore, broker: Broker, database: Database
) -> None:
    """While Redis's clock is behind its newest entry no age can be told: nothing is added again until all entries are read."""
    waiting, lost = await submitted(jobs), await submitted(jobs)
    await broker.publish([("normal", waiting)])
    seconds, _ = await broker.client.time()
    await broker.client.xadd(broker.keys.base, {"id": new_id()}, id=f"{(seconds + 7200) * 1000}-0")
    await age(database, 10)
    await settled_in.step()
    assert len((await in_streams(broker))["normal"]) == 2
    await broker.ack(await broker.take("reader", 10))
    await settled_in.step()
    assert set((await in_streams(broker))["normal"]) == {waiting, lost}


async def test_a_backlog_behind_a_reader_does_not_hide_what_is_older(
    settled_in: Reconciler, jobs: JobStore, broker: Broker, database: Database
) -> None:
    """Everything older than the oldest unread entry was delivered: a waiting job of that time has lost its entry."""
    lost = await submitted(jobs)
    await age(database, 10)
    waiting = await submitted(jobs)
    await broker.publish([("normal", waiting)])
    for _ in range(3):
        await settled_in.step()
    assert (await in_streams(broker))["normal"] == [waiting, lost]


async def test_jobs_that_are_not_waiting_are_left_alone(
    settled_in: Reconciler, jobs: JobStore, leases: LeaseStore, broker: Broker, database: Database, settings: Settings
) -> None:
    """One runs, one is finished, one is cancelled, one is due later: none of them belongs into a stream."""
    lease = await open_lease(leases, settings)
    await running(jobs, lease)
    done, attempt = await running(jobs, lease)
    await jobs.succeed([(done, attempt, b"1")], lease.id)
    await jobs.cancel([await submitted(jobs)])
    await submitted(jobs, delay=7200.0)
    await age(database, 60)
    await settled_in.step()
    assert not any((await in_streams(broker)).values())


async def test_many_lost_entries_come_back_in_pages(settled_in: Reconciler, jobs: JobStore, broker: Broker, database: Database) -> None:
    """2500 at once, each exactly once, also when three reconcilers look at the same time."""
    new = [NewJob(id=new_id(), type="test.noop", payload=Raw(b"{}")) for _ in range(2500)]
    await jobs.submit(new)
    await age(database, 10)
    await settled_in.step()
    await settled_in.step()
    found = (await in_streams(broker))["normal"]
    assert len(found) == 2500
    assert set(found) == {job.id for job in new}


async def test_an_emptied_redis_is_rebuilt(
    settled_in: Reconciler, jobs: JobStore, leases: LeaseStore, broker: Broker, database: Database, settings: Settings
) -> None:
    """All keys are gone: groups, streams, ZSET, DLQ and epoch come back from PostgreSQL, without waiting for any margin."""
    lease = await open_lease(leases, settings)
    dead, attempt = await running(jobs, lease)
    letters = await jobs.bury([(dead, attempt, "attempts_spent", "it failed", "")], lease.id)
    assert letters
    waiting, later = await submitted(jobs, priority="high"), await submitted(jobs, delay=600.0)
    again, _ = await in_state(jobs, database, lease, Status.RETRYING)
    failed, attempt = await running(jobs, lease)
    assert await jobs.retry([(failed, attempt, 300.0, "it failed", "")], lease.id)
    await running(jobs, lease)
    await broker.client.delete(*broker.keys.all())

    with probe.watch("rebuilt") as rebuilt:
        await settled_in.step()
        await settled_in.step()
    assert rebuilt == [2]
    assert await in_streams(broker) == {"high": [waiting], "normal": [again], "low": []}
    put_off = [name.decode() for name in await broker.client.zrange(broker.keys.delayed, 0, -1)]
    assert [job_id for job_id in put_off if job_id != again] == [failed, later]  # one that has been due for a moment may come twice
    [(_, letter)] = await broker.client.xrange(broker.keys.dlq)
    assert letter[b"id"].decode() == dead
    assert await broker.epoch() == await DispatchStore(database).epoch(broker.keys.base)
    assert [entry.job_id for entry in await broker.take("reader", 10)] == [waiting, again]


async def test_another_redis_is_noticed(settled_in: Reconciler, jobs: JobStore, broker: Broker) -> None:
    """A failover to a replica of long ago, or another server: its epoch is not ours, so what it holds is not trusted."""
    waiting = await submitted(jobs)
    await broker.set_epoch("another")
    await settled_in.step()
    assert (await in_streams(broker))["normal"] == [waiting]
    assert await broker.epoch() != "another"


async def test_a_lost_group_is_made_again_at_zero(settled_in: Reconciler, jobs: JobStore, broker: Broker) -> None:
    """The group is gone but the stream is there: what was added meanwhile is delivered."""
    job_id = await submitted(jobs)
    await broker.client.xgroup_destroy(broker.keys.base, "workers")
    await broker.publish([("normal", job_id)])
    await settled_in.step()
    assert [entry.job_id for entry in await broker.take("reader", 10)] == [job_id]


@pytest.mark.parametrize("emptied", [True, False], ids=["emptied", "entry lost"])
async def test_an_orphan_is_reclaimed_however_long_its_worker_has_been_dead(
    emptied: bool,
    reconciler: Reconciler,
    jobs: JobStore,
    leases: LeaseStore,
    broker: Broker,
    database: Database,
    settings: Settings,
) -> None:
    """Worker and Redis died together, and nobody could look for ten minutes: no entry leads to the job, its row does."""
    if not emptied:
        await Reconciler(
            DispatchStore(database), leases, broker, Triage(jobs, DispatchStore(database), broker, NOBODY)
        ).step()  # some reconciler has made the epoch, long ago
    lease = await open_lease(leases, settings)
    job_id, _ = await running(jobs, lease)
    await database.fetch("UPDATE leases SET dead_at = now() - interval '10 minutes' WHERE id = $1", lease.id)
    await reconciler.step()
    assert (await in_streams(broker))["normal"] == [job_id]
    [claimed] = await jobs.claim([job_id], await open_lease(leases, settings), TYPES)
    assert claimed.attempt == 2


async def test_whoever_looks_for_orphans_does_not_read_the_backlog(
    jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """Two jobs run under a dead lease, and ten thousand wait behind them."""
    lease = await open_lease(leases, settings)
    orphans = {(await running(jobs, lease))[0] for _ in range(2)}
    await database.fetch("INSERT INTO jobs (id, type) SELECT new_job_id(), 'test.noop' FROM generate_series(1, 10000)")
    await database.fetch("UPDATE leases SET dead_at = now() WHERE id = $1", lease.id)
    await database.fetch("ANALYZE jobs")
    assert {row[0] for row in await database.fetch(DISPATCH["orphans"], 1000)} == orphans
    await database.fetch(f"PREPARE asked (bigint) AS {DISPATCH['orphans']}")
    plan = "\n".join(row[0] for row in await database.fetch("EXPLAIN (ANALYZE) EXECUTE asked (1000)"))
    passed = sum(int(found) for found in re.findall(r"Rows Removed by Filter: (\d+)", plan))
    assert passed < 200, plan


async def test_flushall_under_a_working_stack_loses_no_job_and_runs_none_twice(stage: Stage, tmp_path: Path) -> None:
    """Real FLUSHALL on a server of its own, in the middle of work, of waiting and of a blocked read."""
    valkey = pytest.importorskip("shared.embedded.valkey").Valkey(tmp_path / "valkey")
    valkey.start()
    own = Broker(valkey.url, Keys(stage.settings.stream), stage.settings.group)
    stage.broker, shared = own, stage.broker
    try:
        consumer = await stage.start({"noop": noop}, redis_url=valkey.url)
        await stage.reaches(await stage.submit("noop"), Status.COMPLETED)
        ids = await stage.submit_many(300, "noop")
        ids += await stage.submit_many(5, "noop", delay=0.5)
        await own.client.flushall()
        for job_id in ids:
            row = await stage.reaches(job_id, Status.COMPLETED, within=20)
            assert row["attempts"] == 1
        await own.client.flushall()  # while the read blocks
        assert (await stage.reaches(await stage.submit("noop"), Status.COMPLETED, within=20))["attempts"] == 1
        await eventually(stage.is_empty)
        await consumer.stop()
    finally:
        await own.close()
        stage.broker = shared
        valkey.stop()
