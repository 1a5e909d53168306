"""Due ticks become jobs: one each, whoever else is at it and whatever breaks on the way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import Raw

from chaos.proxy import proxied
from consumer.scheduler import EVERY_SECONDS, Scheduler
from producer.schedule_view import next_runs
from shared import probe
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.errors import DatabaseUnavailableError
from shared.ids import new_id
from shared.job_store import JobStore
from shared.job_template import template_of
from shared.jobs import Context
from shared.keys import Keys
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import NewJob
from shared.schedule_store import Schedule, ScheduleStore, Stored
from shared.settings import Settings
from shared.tick_store import TickStore
from shared.timetable import Timetable
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.make import open_lease

TICKS = 200


class Clockwork:
    """Schedules of a test: put as the API does, and moved in time."""

    def __init__(self, database: Database) -> None:
        self.store = ScheduleStore(database)
        self.database = database

    async def put(self, name: str, *, job: dict[str, Any] | None = None, paused: bool = False, **fields: Any) -> None:
        """Put a schedule of a job that does nothing; `fields` are those of its timetable, and misfire and overlap."""
        policies = {key: fields.pop(key) for key in ("misfire", "overlap") if key in fields}
        template = template_of(NewJob(**{"id": new_id(), "type": "test.noop", "payload": Raw(b"{}")} | (job or {})))
        await self.store.put(Schedule(name=name, timetable=Timetable(**fields), template=template, **policies), paused)

    async def pass_by(self, name: str, **span: float) -> None:
        """Let the schedule's next tick be so long ago."""
        await self.database.fetch("UPDATE schedules SET next_at = now() - $2::interval WHERE name = $1", name, timedelta(**span))

    async def stored(self, name: str) -> Stored:
        """Return the schedule as it is now."""
        [found] = (await self.store.get(name)).schedules
        return found

    async def runs(self, name: str) -> list[tuple[datetime, str]]:
        """Return (tick, job id) of what it has made, oldest first."""
        rows = await self.database.fetch("SELECT tick, job_id::text FROM schedule_runs WHERE schedule = $1 ORDER BY tick", name)
        return [(row["tick"], row["job_id"]) for row in rows]

    async def jobs(self) -> list[str]:
        """Return the ids of all jobs."""
        return [row[0] for row in await self.database.fetch("SELECT id::text FROM jobs ORDER BY id")]


@pytest.fixture
def clockwork(database: Database) -> Clockwork:
    """Nothing is scheduled yet."""
    return Clockwork(database)


@pytest.fixture
def scheduler(database: Database, broker: Broker) -> Scheduler:
    """One that a test steps by hand."""
    return Scheduler(TickStore(database), broker)


@asynccontextmanager
async def another(settings: Settings) -> AsyncIterator[Scheduler]:
    """A scheduler with connections of its own."""
    database = Database(settings.database_url, "another", timeout=2)
    broker = Broker(settings.redis_url, Keys(settings.stream), settings.group, timeout=1)
    try:
        yield Scheduler(TickStore(database), broker)
    finally:
        await database.close()
        await broker.close()


async def published(broker: Broker, lane: str = "normal") -> list[str]:
    """Return the job ids in a stream."""
    return [fields[b"id"].decode() for _, fields in await broker.client.xrange(broker.keys.stream(lane))]


async def test_a_due_tick_becomes_a_job_and_the_schedule_moves_on(clockwork: Clockwork, scheduler: Scheduler, broker: Broker) -> None:
    """The job is as the template says, is published in its stream, and is the schedule's last; a second look makes none."""
    await clockwork.put(
        "s", every=60, job={"priority": "high", "payload": Raw(b'{"a": 1}'), "max_attempts": 7, "tags": ["x"], "queue": "q"}
    )
    await scheduler.step()
    assert await clockwork.jobs() == [], "its first tick is a minute away"
    await clockwork.pass_by("s", seconds=1)
    before = await clockwork.stored("s")
    for _ in range(2):
        await scheduler.step()
    [(tick, job_id)] = await clockwork.runs("s")
    assert await clockwork.jobs() == [job_id] == await published(broker, "q:high")
    columns = "type, payload, priority::text, max_attempts, tags, queue, status::text"
    [row] = await clockwork.database.fetch(f"SELECT {columns} FROM jobs")  # noqa: S608 - our own text
    assert tuple(row) == ("test.noop", b'{"a": 1}', "high", 7, ["x"], "q", "PENDING")
    after = await clockwork.stored("s")
    assert (after.last_tick, after.last_job_id, after.skipped_count) == (tick, job_id, 0)
    assert before.next_at == tick
    assert after.next_at == tick + timedelta(seconds=60)
    assert after.updated_at == before.updated_at, "a run is no change of the definition"


async def test_a_one_time_schedule_runs_once(clockwork: Clockwork, scheduler: Scheduler) -> None:
    """And then it is over, and stays to be looked at."""
    now = await clockwork.store.now()
    await clockwork.put("once", at=now + timedelta(seconds=0.3))

    async def over() -> bool:
        await scheduler.step()
        return (await clockwork.stored("once")).next_at is None

    await eventually(over)
    [(tick, _)] = await clockwork.runs("once")
    assert tick == now + timedelta(seconds=0.3)
    await scheduler.step()
    assert len(await clockwork.jobs()) == 1


async def test_racing_schedulers_make_one_job_a_tick(clockwork: Clockwork, settings: Settings, broker: Broker) -> None:
    """Four schedulers with connections of their own want the same 200 ticks at the same moments."""
    names = [f"s{number}" for number in range(10)]
    for name in names:
        await clockwork.put(name, every=1, misfire="catch_up(1000)")
    async with another(settings) as a, another(settings) as b, another(settings) as c, another(settings) as d:
        for _ in range(TICKS // len(names)):
            await clockwork.database.fetch("UPDATE schedules SET next_at = now()")
            await asyncio.gather(*(scheduler.step() for scheduler in (a, b, c, d)))
        runs = {name: await clockwork.runs(name) for name in names}
    made = [job_id for pairs in runs.values() for _, job_id in pairs]
    assert len(made) == TICKS
    for pairs in runs.values():
        ticks = [tick for tick, _ in pairs]
        assert len(set(ticks)) == len(ticks)
    assert sorted(made) == await clockwork.jobs(), "a job for each tick, and none besides"
    assert Counter(await published(broker)) == Counter(made)


async def test_the_guard_refuses_a_tick_that_has_its_job(clockwork: Clockwork, scheduler: Scheduler) -> None:
    """Even if a schedule is set back, by hand or by a restored backup: a tick has one job, and the others go on."""
    await clockwork.put("s", every=60)
    await clockwork.put("t", every=60)
    await clockwork.pass_by("s", seconds=1)
    await scheduler.step()
    [(tick, _)] = await clockwork.runs("s")
    await clockwork.database.fetch("UPDATE schedules SET next_at = $1", tick)
    await scheduler.step()
    assert (len(await clockwork.runs("s")), len(await clockwork.runs("t")), len(await clockwork.jobs())) == (1, 1, 2)
    assert (await clockwork.stored("s")).next_at == tick + timedelta(seconds=60)


OUTAGES = [("skip", 0, 60), ("coalesce", 1, 59), ("catch_up(5)", 5, 55), ("catch_up(1000)", 60, 0)]


@pytest.mark.parametrize(("misfire", "made", "skipped"), OUTAGES)
async def test_after_an_outage_of_an_hour(clockwork: Clockwork, scheduler: Scheduler, misfire: str, made: int, skipped: int) -> None:
    """The newest missed ticks run, as many as the policy says; the rest is counted; the next tick is in step and in the future."""
    await clockwork.put("s", every=60, misfire=misfire)
    await clockwork.pass_by("s", minutes=59, seconds=30)
    first = (await clockwork.stored("s")).next_at
    assert first is not None
    await scheduler.step()
    runs = await clockwork.runs("s")
    newest = first + timedelta(minutes=59)
    assert [tick for tick, _ in runs] == [newest - timedelta(minutes=back) for back in range(made - 1, -1, -1)]
    after = await clockwork.stored("s")
    assert after.next_at == newest + timedelta(minutes=1)
    assert (after.skipped_count, after.skipped_reason) == (skipped, "misfire" if skipped else None)
    assert after.skipped_tick == (newest - timedelta(minutes=made) if skipped else None)
    assert after.last_job_id == (runs[-1][1] if runs else None)


async def test_jobs_do_not_overlap_when_told_so(
    clockwork: Clockwork, scheduler: Scheduler, jobs: JobStore, database: Database, leases: LeaseStore, settings: Settings
) -> None:
    """While a job of the schedule waits or runs its ticks are skipped and counted; when it is over, however, the next one runs."""
    await clockwork.put("s", every=60, overlap="skip")
    await clockwork.put("other", every=60)

    async def tick() -> int:
        await clockwork.pass_by("s", seconds=1)
        await clockwork.pass_by("other", seconds=1)
        await scheduler.step()
        return len(await clockwork.runs("s"))

    assert [await tick(), await tick()] == [1, 1]
    assert len(await clockwork.runs("other")) == 2
    [(_, job_id)] = await clockwork.runs("s")
    lease = await open_lease(leases, settings)
    [claimed] = await jobs.claim([job_id], lease, ["test.noop"])
    assert await tick() == 1
    await jobs.bury([(job_id, claimed.attempt, "attempts_spent", "it failed", "")], lease.id)
    stored = await clockwork.stored("s")
    assert (stored.skipped_count, stored.skipped_reason) == (2, "overlap")
    assert await tick() == 2
    await database.fetch("UPDATE jobs SET status = 'CANCELLED', finished_at = now()")
    await jobs.replay([job_id])
    assert await tick() == 2, "an earlier job that was replayed is under way, too"


async def test_a_trigger_counts_as_a_job_under_way(clockwork: Clockwork, scheduler: Scheduler) -> None:
    """Also between two ticks, and also when another one is triggered meanwhile."""
    await clockwork.put("s", every=60, overlap="skip")
    triggered = [await clockwork.store.trigger("s") for _ in range(2)]
    assert all(triggered)
    assert triggered[1] is not None
    await clockwork.database.fetch("UPDATE jobs SET status = 'CANCELLED', finished_at = now() WHERE id = $1", triggered[1].id)
    await clockwork.pass_by("s", seconds=1)
    await scheduler.step()
    assert len(await clockwork.runs("s")) == 2
    assert (await clockwork.stored("s")).skipped_reason == "overlap"


async def test_triggers_of_one_moment_are_two_jobs(clockwork: Clockwork, settings: Settings) -> None:
    """Twenty at the same time from four connections: twenty jobs."""
    await clockwork.put("s", every=60)
    databases = [Database(settings.database_url, "trigger") for _ in range(4)]
    jobs = await asyncio.gather(*(ScheduleStore(database).trigger("s") for database in databases for _ in range(5)))
    assert len({job.id for job in jobs if job}) == 20 == len(await clockwork.runs("s")) == len(await clockwork.jobs())
    for database in databases:
        await database.close()


async def test_a_paused_schedule_makes_nothing(clockwork: Clockwork, scheduler: Scheduler) -> None:
    """What came due meanwhile is neither made nor counted when it goes on."""
    await clockwork.put("s", every=60, misfire="catch_up(1000)")
    await clockwork.store.set_paused("s", paused=True)
    await clockwork.pass_by("s", hours=1)
    await scheduler.step()
    assert await clockwork.store.set_paused("s", paused=False)
    await scheduler.step()
    assert await clockwork.jobs() == []
    stored = await clockwork.stored("s")
    assert stored.skipped_count == 0
    now = await clockwork.store.now()
    assert stored.next_at is not None
    assert now < stored.next_at <= now + timedelta(seconds=60)
    assert next_runs(stored, now)[0] == stored.next_at


async def test_a_type_that_vanished_still_gets_its_jobs(clockwork: Clockwork, scheduler: Scheduler) -> None:
    """They wait for a consumer that knows it, as any job does."""
    await clockwork.put("s", every=60, job={"type": "gone"})
    await clockwork.database.fetch("TRUNCATE job_types")
    await clockwork.pass_by("s", seconds=1)
    await scheduler.step()
    assert await clockwork.database.fetch_value("SELECT type || ' ' || status FROM jobs") == "gone PENDING"


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE schedules SET timezone = 'Europe/Atlantis' WHERE name = 'bad'",
        "UPDATE schedules SET cron = 'nonsense' WHERE name = 'bad'",
        """UPDATE schedules SET template = '{"type": 5}' WHERE name = 'bad'""",
        "UPDATE schedules SET template = '[]' WHERE name = 'bad'",
        """UPDATE schedules SET template = '{"type": "x", "payload": {}, "priority": "urgent"}' WHERE name = 'bad'""",
        """UPDATE schedules SET template = '{"type": "x", "payload": {}, "expires_in": 1e300}' WHERE name = 'bad'""",
    ],
)
async def test_a_spoiled_schedule_does_not_hold_up_the_others(clockwork: Clockwork, scheduler: Scheduler, spoil: str) -> None:
    """It stays due for somebody who can mend it, this process looks at it again a minute later, and all the others run."""
    await clockwork.put("bad", cron="* * * * *", timezone="Europe/Berlin")
    for name in ("a", "z"):
        await clockwork.put(name, every=60)
    await clockwork.database.fetch(spoil)
    await clockwork.database.fetch("UPDATE schedules SET next_at = date_trunc('minute', now()) WHERE name = 'bad'")
    for name in ("a", "z"):
        await clockwork.pass_by(name, seconds=1)
    pauses = [await scheduler.step() for _ in range(5)]
    assert pauses[-1] == EVERY_SECONDS, "it does not spin"
    assert (len(await clockwork.runs("a")), len(await clockwork.runs("z")), len(await clockwork.runs("bad"))) == (1, 1, 0)
    stored = await clockwork.database.fetch_value("SELECT next_at < now() FROM schedules WHERE name = 'bad'")
    assert stored is True


async def test_more_schedules_than_a_batch_are_all_made(clockwork: Clockwork, scheduler: Scheduler) -> None:
    """A full batch asks for the next step at once."""
    await clockwork.put("first", every=3600)
    await clockwork.database.fetch(
        "INSERT INTO schedules (name, every_seconds, template, next_at)"
        " SELECT 's' || n, 3600, template, now() FROM schedules, generate_series(1, 250) AS n"
    )
    pauses = [await scheduler.step() for _ in range(3)]
    assert pauses == [0.0, 0.0, EVERY_SECONDS]
    assert len(await clockwork.jobs()) == 250


async def test_a_long_count_is_cut_into_pieces(clockwork: Clockwork, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one transaction has no time for stays due, and is made by the next."""
    monkeypatch.setattr("consumer.scheduler.DECIDE_SECONDS", 0)
    for number in range(5):
        await clockwork.put(f"s{number}", cron="* * * * *", timezone="Europe/Berlin", misfire="catch_up(2)")
        await clockwork.pass_by(f"s{number}", days=365)
    for steps in range(1, 6):
        assert await scheduler.step() < EVERY_SECONDS or steps == 5
        assert len(await clockwork.jobs()) == 2 * steps
    assert [(await clockwork.stored(f"s{number}")).skipped_count for number in range(5)] == [998] * 5


async def test_large_payloads_are_caught_up(clockwork: Clockwork, scheduler: Scheduler) -> None:
    """What many ticks need is more than one statement may carry."""
    payload = b'{"text": "' + b"x" * 1_000_000 + b'"}'
    await clockwork.put("large", every=60, misfire="catch_up(40)", job={"payload": Raw(payload)})
    await clockwork.pass_by("large", hours=1)
    await scheduler.step()
    assert len(await clockwork.jobs()) == 40
    assert await clockwork.database.fetch_value("SELECT min(length(payload::text)) FROM jobs") == len(payload)


async def test_a_tick_is_made_within_half_a_second(stage: Stage) -> None:
    """In a running consumer, second by second, for a schedule put a moment ago."""

    async def noop(_: Context, __: Any) -> None:
        """Succeed."""

    clockwork = Clockwork(stage.database)
    await stage.start({"test.noop": noop})
    await clockwork.put("s", every=1)

    async def three() -> list[tuple[datetime, str]]:
        runs = await clockwork.runs("s")
        assert len(runs) >= 3
        return runs

    runs = await eventually(three)
    await clockwork.store.set_paused("s", paused=True)
    delays = [(await stage.row(job_id))["created_at"] - tick for tick, job_id in runs]
    assert all(timedelta() <= delay < timedelta(seconds=0.5) for delay in delays), delays
    for _, job_id in await clockwork.runs("s"):
        assert (await stage.reaches(job_id, Status.COMPLETED))["attempts"] == 1


async def test_a_publish_that_fails_is_made_up_by_the_reconciler(stage: Stage) -> None:
    """Redis is away when the tick is committed: the job is there, and runs once when it is found to be missing in the stream."""
    ran: list[str] = []

    async def noop(ctx: Context, _: Any) -> None:
        ran.append(ctx.job_id)

    clockwork = Clockwork(stage.database)
    await clockwork.put("s", at=(await clockwork.store.now()) + timedelta(seconds=60))
    await clockwork.pass_by("s", seconds=0)
    await clockwork.database.fetch("UPDATE schedules SET at = next_at")
    async with proxied(stage.settings.redis_url) as wire, another(replace(stage.settings, redis_url=wire.url)) as scheduler:
        wire.refuse()
        with probe.watch("scheduled") as seen:
            await scheduler.step()
    assert len(seen) == 1
    [(_, job_id)] = await clockwork.runs("s")
    assert await published(stage.broker) == []
    await stage.start({"test.noop": noop})
    await stage.reaches(job_id, Status.COMPLETED)
    assert ran == [job_id]


async def test_postgresql_goes_away_and_comes_back(clockwork: Clockwork, settings: Settings, broker: Broker) -> None:
    """Before the commit nothing has happened; what is due waits and is made when PostgreSQL is back."""
    await clockwork.put("s", every=60)
    await clockwork.pass_by("s", seconds=1)
    async with proxied(settings.database_url) as wire, another(replace(settings, database_url=wire.url)) as scheduler:
        wire.refuse()
        with pytest.raises(DatabaseUnavailableError):
            await scheduler.step()
        assert await clockwork.jobs() == []
        wire.heal()
        await scheduler.step()
    [(_, job_id)] = await clockwork.runs("s")
    assert await published(broker) == [job_id]


async def test_what_is_not_committed_is_not_published(clockwork: Clockwork, settings: Settings, broker: Broker) -> None:
    """The connection breaks at the commit and nobody knows its outcome: there is one job in the end, whichever it was."""
    await clockwork.put("s", every=60)
    await clockwork.pass_by("s", seconds=1)
    async with proxied(settings.database_url) as wire, another(replace(settings, database_url=wire.url)) as scheduler:
        await scheduler._ticks.next_due_in()  # connected
        wire.drop_reply(b"COMMIT", reset=True)
        with pytest.raises(DatabaseUnavailableError):
            await scheduler.step()
        await scheduler.step()
    assert len(await clockwork.runs("s")) == len(await clockwork.jobs()) == 1
    assert len(await published(broker)) <= 1


async def test_runs_are_forgotten_with_their_jobs(clockwork: Clockwork, dispatch: DispatchStore, scheduler: Scheduler) -> None:
    """The note which schedule made a job stays as long as the job does, also when the schedule is gone."""
    await clockwork.put("s", every=60)
    for _ in range(2):
        await clockwork.pass_by("s", seconds=1)
        await scheduler.step()
    old, young = await clockwork.jobs()
    assert await clockwork.store.delete("s")
    assert await dispatch.forget_runs(-60) == 0, "both jobs are there"
    await clockwork.database.fetch("DELETE FROM jobs WHERE id = $1", old)
    assert await dispatch.forget_runs(3600) == 0, "its time has not come"
    assert await dispatch.forget_runs(-60) == 1
    assert [job_id for _, job_id in await clockwork.runs("s")] == [young]
