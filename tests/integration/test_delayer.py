"""What waits for its time: the ZSET holds the next hour, PostgreSQL holds the rest, and nothing runs too early."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import Raw

from consumer.delayer import Delayer
from consumer.reconciler import Reconciler
from consumer.triage import Triage
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.ids import new_id
from shared.job_store import JobStore
from shared.jobs import Context
from shared.keys import PRIORITIES, member
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import Due, NewJob
from shared.redis_client import CHUNK
from tests.support.consumer import Stage
from tests.support.eventually import eventually


async def noop(_: Context, __: Any) -> None:
    """Succeed."""


@pytest.fixture
def reconciler(jobs: JobStore, dispatch: DispatchStore, leases: LeaseStore, broker: Broker) -> Reconciler:
    """One that a test steps by hand."""
    return Reconciler(dispatch, leases, broker, Triage(jobs, dispatch, broker, 3))


async def delayed(broker: Broker) -> dict[str, float]:
    """Return the ZSET."""
    items = await broker.client.zrange(broker.keys.delayed, 0, -1, withscores=True)
    return {name.decode(): score for name, score in items}


@pytest.mark.parametrize("how", ["delay", "run_at"])
async def test_a_delayed_job_runs_when_it_is_due_and_not_before(how: str, stage: Stage) -> None:
    """SCHEDULED at first; started at its time and less than a second after it."""
    await stage.start({"noop": noop})
    when: dict[str, Any] = {"delay": 0.6} if how == "delay" else {"run_at": datetime.now(UTC) + timedelta(seconds=0.6)}
    job_id = await stage.submit("noop", **when)
    row = await stage.row(job_id)
    assert row["status"] == Status.SCHEDULED
    assert (row["run_at"] - row["created_at"]).total_seconds() == pytest.approx(0.6, abs=0.1)
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert 0 <= (row["started_at"] - row["run_at"]).total_seconds() < 1


@pytest.mark.parametrize("when", [{}, {"delay": 0.0}, {"run_at": datetime(2020, 1, 1, tzinfo=UTC)}], ids=["unset", "zero", "past"])
async def test_a_job_without_delay_is_due_at_once(when: dict[str, Any], jobs: JobStore, database: Database) -> None:
    """PENDING, due now; a time in the past means now, so that it jumps no queue."""
    job = NewJob(id=new_id(), type="noop", payload=Raw(b"{}"), **when)
    assert await jobs.submit([job]) == []
    [row] = await database.fetch("SELECT status::text, run_at = created_at AS now FROM jobs WHERE id = $1", job.id)
    assert tuple(row) == (Status.PENDING, True)


async def test_each_priority_goes_to_its_own_stream(broker: Broker) -> None:
    """What is due moves, in the order of its time; what is not, stays; and the caller hears when to come again."""
    soon = {priority: new_id() for priority in PRIORITIES}
    await broker.delay([Due(job_id, priority, 0.0) for priority, job_id in soon.items()])
    late = new_id()
    await broker.delay([Due(late, "high", 60.0)])
    moved, next_in = await broker.promote()
    assert moved == 3
    assert next_in == pytest.approx(60, abs=1)
    assert {entry.lane: entry.job_id for entry in await broker.take("reader", 10)} == soon
    assert list(await delayed(broker)) == [member(late, "high")]


async def test_due_times_are_kept_to_the_microsecond(broker: Broker) -> None:
    """By Redis's clock, which is asked before and after: rounded to a millisecond one in two would be due too early."""
    later = []
    for _ in range(100):
        job_id = new_id()
        seconds, microseconds = await broker.client.time()
        await broker.delay([Due(job_id, "normal", 60.0)])
        due = (await delayed(broker))[member(job_id, "normal")]
        later.append(due - (seconds + microseconds / 1e6 + 60.0))
    assert -2e-6 < min(later) < 0.01


async def test_many_delayers_promote_each_job_once(broker: Broker) -> None:
    """The script is atomic: eight at a time make no duplicates, and a full page asks for another at once."""
    ids = [new_id() for _ in range(2 * CHUNK + 5)]
    await broker.delay([Due(job_id, "normal", 0.0) for job_id in ids])
    pauses = await asyncio.gather(*(Delayer(broker).step() for _ in range(8)))
    assert sorted(pauses)[:2] == [0.0, 0.0]
    assert await broker.client.xlen(broker.keys.base) == len(ids)
    assert await delayed(broker) == {}


async def test_only_the_next_hour_is_in_the_zset(
    reconciler: Reconciler, jobs: JobStore, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job due in two hours costs Redis nothing, until the horizon has come near enough."""
    near, far = (NewJob(id=new_id(), type="noop", payload=Raw(b"{}"), delay=hours * 3600.0) for hours in (0.5, 2))
    await jobs.submit([near, far])
    await reconciler.step()
    assert list(await delayed(broker)) == [near.id]
    monkeypatch.setattr("consumer.reconciler.HORIZON_SECONDS", 3630.0)  # as if half a minute had passed: not worth a look
    await broker.client.delete(broker.keys.delayed)
    await reconciler.step()
    assert await delayed(broker) == {}
    monkeypatch.setattr("consumer.reconciler.HORIZON_SECONDS", 7201.0)  # as if an hour had passed
    await reconciler.step()
    [(job_id, score)] = (await delayed(broker)).items()
    assert job_id == far.id
    [seconds, micros] = await broker.client.time()
    assert score - (seconds + micros / 1e6) == pytest.approx(7200, abs=5)


async def test_the_horizon_brings_in_more_than_a_page(reconciler: Reconciler, jobs: JobStore, broker: Broker) -> None:
    """Pages follow one another without gap or overlap, also where many jobs are due at one moment."""
    at = datetime.now(UTC) + timedelta(minutes=10)
    new = [NewJob(id=new_id(), type="noop", payload=Raw(b"{}"), run_at=at, priority=PRIORITIES[n % 3]) for n in range(2500)]
    await jobs.submit(new)
    await reconciler.step()
    assert set(await delayed(broker)) == {member(job.id, job.priority) for job in new}


async def test_a_zset_that_was_lost_delays_jobs_but_loses_none(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry of a delayed job vanishes: when its time has come, the reconciler misses it."""
    monkeypatch.setattr("consumer.reconciler.MARGIN_SECONDS", 0.3)
    await stage.start({"noop": noop})
    job_id = await stage.submit("noop", delay=0.5)
    assert await stage.broker.client.delete(stage.broker.keys.delayed)
    await stage.reaches(job_id, Status.COMPLETED)
    await eventually(stage.is_empty)
