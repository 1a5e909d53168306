"""Keeping house: sums stay exact, only what is old is forgotten."""

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec import Raw

from consumer.janitor import Janitor
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.ids import new_id
from shared.job_store import JobStore
from shared.job_views import JobViews
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import Letter, NewJob
from shared.settings import Settings
from tests.support.make import open_lease, running, submitted

DAYS_KEPT = 30


@pytest.fixture
def janitor(settings: Settings, dispatch: DispatchStore, leases: LeaseStore, broker: Broker) -> Janitor:
    """One with the default retention."""
    assert settings.retention_days == DAYS_KEPT
    return Janitor(settings, dispatch, leases, broker)


async def finished(database: Database, status: str, days_ago: float) -> str:
    """Return the id of a job that was made and finished so many days ago."""
    query = (
        "WITH past AS (SELECT now() - make_interval(secs => $2) AS at), made AS (SELECT at, lpad(to_hex(trunc(extract(epoch FROM at)"
        " * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 19) AS id"
        " FROM past) INSERT INTO jobs (id, type, status, "
        "finished_at, created_at) SELECT id::uuid, 'old', $1::job_status, at, at FROM made RETURNING id::text"
    )
    return str(await database.fetch_value(query, status, days_ago * 86_400))


async def ids(database: Database) -> set[str]:
    """Return the ids of all jobs."""
    return {row[0] for row in await database.fetch("SELECT id::text FROM jobs")}


async def test_finished_jobs_are_forgotten_after_their_retention(
    janitor: Janitor, database: Database, jobs: JobStore, broker: Broker
) -> None:
    """Those that finished long enough ago go, with their history and letters; younger and open ones stay, however old."""
    old = [await finished(database, status, DAYS_KEPT + 1) for status in ("COMPLETED", "FAILED", "CANCELLED")]
    [letter] = await broker.bury([(Letter(old[1], "old", "attempts_spent", "it failed", 4, datetime.now(UTC)), None)])
    await database.fetch("INSERT INTO dead_letters (job_id, entry_id) VALUES ($1, $2)", old[1], letter.place)
    await database.fetch("INSERT INTO attempts (job_id, attempt, outcome) VALUES ($1, 1, 'failed')", old[1])
    young = await finished(database, "COMPLETED", DAYS_KEPT - 1)
    late = await finished(database, "COMPLETED", DAYS_KEPT + 5)
    await database.fetch("UPDATE jobs SET finished_at = now() WHERE id = $1", late)  # it waited for a month and has just ended
    waiting = await finished(database, "COMPLETED", DAYS_KEPT + 5)
    await database.fetch("UPDATE jobs SET status = 'PENDING', finished_at = NULL WHERE id = $1", waiting)
    fresh = await submitted(jobs)
    await janitor.step()
    assert await ids(database) == {young, late, waiting, fresh}
    assert await database.fetch("SELECT FROM dead_letters UNION ALL SELECT FROM attempts") == []
    assert (await broker.depths())["dlq"] == 0


async def test_counters_are_few_however_many_moves_there_were(
    dispatch: DispatchStore, database: Database, jobs: JobStore, leases: LeaseStore, views: JobViews, settings: Settings
) -> None:
    """One a second and kind of move; throughput is what it was, also when jobs that it counted are forgotten meanwhile."""
    lease = await open_lease(leases, settings)
    for _ in range(20):
        job_id, attempt = await running(jobs, lease)
        await jobs.succeed([(job_id, attempt, b"null")], lease.id)
    await database.fetch("DELETE FROM jobs WHERE id IN (SELECT id FROM jobs LIMIT 15)")
    await database.fetch("UPDATE job_counts SET at = date_trunc('second', at) - interval '10.5 seconds'")
    many = await database.fetch_value("SELECT count(*) FROM job_counts")
    before = await views.counts()
    for _ in range(2):
        await dispatch.fold_counts()
        few = await database.fetch("SELECT at, status::text, n > 0 FROM job_counts")
        assert len(few) <= 6 * len({row["at"] for row in few}) <= 18 < many
        assert await views.completed_per_minute() == 20
        assert await views.counts() == before
    await database.fetch("UPDATE job_counts SET at = at - interval '70 seconds'")
    await dispatch.fold_counts()
    assert [tuple(row) for row in await database.fetch("SELECT status::text, n FROM job_counts")] == [("COMPLETED", 5)]


async def test_more_than_a_page_is_forgotten_in_one_round(janitor: Janitor, database: Database) -> None:
    """Deleting goes in pages until nothing old is left."""
    await database.fetch(
        "INSERT INTO jobs (id, type, status, finished_at) SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'old',"
        " 'COMPLETED', now() - interval '90 days' FROM generate_series(1, 11000) AS n"
    )
    await janitor.step()
    assert await ids(database) == set()


async def test_sums_stay_exact_when_they_are_folded(janitor: Janitor, database: Database, views: JobViews, jobs: JobStore) -> None:
    """Old moves become one row per queue, type and status; what cancels out goes; the answer is the same before and after."""
    for _ in range(5):
        await submitted(jobs)
    await jobs.cancel([await submitted(jobs, queue="other")])
    await database.fetch("UPDATE job_counts SET at = at - interval '1 hour'")
    await submitted(jobs)  # a move of just now stays by itself: throughput is read from it
    before = await views.counts()
    for _ in range(2):
        await janitor.step()
        assert await views.counts() == before
    assert await database.fetch_value("SELECT count(*) FROM job_counts") == 3
    assert before.by_status == dict.fromkeys(Status, 0) | {"PENDING": 6, "CANCELLED": 1}


async def test_expired_keys_are_forgotten(janitor: Janitor, database: Database, jobs: JobStore) -> None:
    """Keys whose time is over go, their jobs stay."""
    for key, ttl in (("old", -1.0), ("new", 3600.0)):
        job = NewJob(id=new_id(), type="test.noop", payload=Raw(b"{}"), idempotency_key=key, fingerprint=b"1")
        await jobs.submit_keyed([job], ttl, lambda _: None)
    await janitor.step()
    assert [row[0] for row in await database.fetch("SELECT key FROM idempotency_keys")] == ["new"]
    assert len(await ids(database)) == 2


async def test_dead_leases_are_forgotten_unless_a_job_still_names_them(
    janitor: Janitor, database: Database, jobs: JobStore, leases: LeaseStore, settings: Settings
) -> None:
    """The row of a dead worker is the proof that its job may be reclaimed."""
    kept, gone, alive = [await open_lease(leases, settings) for _ in range(3)]
    await running(jobs, kept)
    await database.fetch("UPDATE leases SET dead_at = now() - interval '2 hours' WHERE id <> $1", alive.id)
    await janitor.step()
    left = {row[0] for row in await database.fetch("SELECT id::text FROM leases")}
    assert left == {kept.id, alive.id}
    assert gone.id not in left


async def test_many_janitors_do_no_harm(settings: Settings, janitor: Janitor, database: Database, views: JobViews, broker: Broker) -> None:
    """Two fold the same sums at the same time: nothing is counted twice."""
    second = Database(settings.database_url, "second")
    rival = Janitor(settings, DispatchStore(second), LeaseStore(second), broker)
    await database.fetch("INSERT INTO jobs (id, type) SELECT gen_random_uuid(), 'many' FROM generate_series(1, 50)")
    await database.fetch("UPDATE job_counts SET at = at - interval '1 hour'")
    await asyncio.gather(janitor.step(), rival.step(), janitor.step(), rival.step())
    assert (await views.counts()).by_status["PENDING"] == 50
    await second.close()


async def test_effects_and_checkpoints_go_with_their_job(janitor: Janitor, database: Database) -> None:
    """Those of an old job go with it, those of a younger one stay; both are found by an index."""
    gone, stays = await finished(database, "FAILED", DAYS_KEPT + 1), await finished(database, "COMPLETED", DAYS_KEPT - 1)
    for job_id in (gone, stays):
        await database.fetch(
            "INSERT INTO effects (job_id, key, attempt) SELECT $1, 'effect ' || n, 1 FROM generate_series(1, 5) AS n", job_id
        )
        await database.fetch("INSERT INTO checkpoints (job_id, attempt, data) VALUES ($1, 1, '{}')", job_id)
    await janitor.step()
    left = await database.fetch("SELECT job_id::text, count(*) FROM effects GROUP BY 1 UNION ALL SELECT job_id::text, 1 FROM checkpoints")
    assert sorted(map(tuple, left)) == [(stays, 1), (stays, 5)]
    for table in ("effects", "checkpoints"):
        query = f"SELECT indexdef FROM pg_indexes WHERE tablename = '{table}'"  # noqa: S608 - a test's own words
        assert any("(job_id" in row[0] for row in await database.fetch(query))
