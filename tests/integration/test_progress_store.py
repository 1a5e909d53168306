"""How progress is written: fenced, small, all jobs at once, and no job holds up another."""

import threading

import msgspec
import pytest

from consumer.effects import Effects
from consumer.progress import ProgressBoard
from shared.database import Database, Databases
from shared.effect_store import EffectStore, Owner, ProgressStore, Report
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.models import Claimed, Lease
from shared.settings import Settings
from tests.support.make import open_lease, running


@pytest.fixture
def store(database: Database) -> ProgressStore:
    """Progress over the test's connection."""
    return ProgressStore(database)


@pytest.mark.parametrize("way", ["show", "show_free"])
async def test_progress_is_fenced(
    way: str, store: ProgressStore, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """Another attempt, another lease, a job that is over: not a word of it is shown. In one batch with one that counts."""
    lease, other = await open_lease(leases, settings), await open_lease(leases, settings)
    job_id, attempt = await running(jobs, lease)
    stale = [(*await running(jobs, lease), 1, lease), (*await running(jobs, lease), 0, other)]
    over_id, over_attempt = await running(jobs, lease)
    await jobs.succeed([(over_id, over_attempt, b"1")], lease.id)
    reports = [Report(Owner(job_id, attempt, lease.id), 50, "ours"), Report(Owner(over_id, over_attempt, lease.id), 60, "over")]
    reports += [Report(Owner(stale_id, number + wrong, holder.id), 70, "stale") for stale_id, number, wrong, holder in stale]
    assert await getattr(store, way)(reports) == ({job_id} if way == "show" else set())
    rows = await database.fetch("SELECT id::text FROM jobs WHERE progress IS NOT NULL")
    assert [row[0] for row in rows] == [job_id]


@pytest.mark.parametrize("way", ["show", "show_free"])
async def test_progress_is_a_small_write(
    way: str, store: ProgressStore, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """It stays HOT, so no index is touched, and it adds nothing to the counts."""
    lease = await open_lease(leases, settings)
    owners = [Owner(*await running(jobs, lease), lease.id) for _ in range(20)]
    counts = await database.fetch("SELECT * FROM job_counts ORDER BY at")
    await database.fetch("SELECT pg_stat_force_next_flush()")
    before = await _updates(database)
    for percent in range(10):
        await getattr(store, way)([Report(owner, percent, "") for owner in owners])
    await database.fetch("SELECT pg_stat_force_next_flush()")
    after = await _updates(database)
    assert (after[0] - before[0], after[1] - before[1]) == (200, 200)
    assert await database.fetch("SELECT * FROM job_counts ORDER BY at") == counts


async def _updates(database: Database) -> tuple[int, int]:
    [row] = await database.fetch("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'jobs'")
    return row[0], row[1]


async def test_a_report_from_another_thread_is_never_lost(
    store: ProgressStore, jobs: JobStore, leases: LeaseStore, settings: Settings, database: Database
) -> None:
    """While one thread reports without pause, the loop writes what it finds: in the end the last report is in the row."""
    lease = await open_lease(leases, settings)
    job_id, attempt = await running(jobs, lease)
    board = ProgressBoard(store)
    databases = Databases(settings.database_url, "test", 1)
    claimed = Claimed(job_id, "test.noop", "normal", b"{}", attempt, 0, 1, None, None, False)
    effects = Effects(EffectStore(databases), board, claimed, Lease(lease.id, lease.worker))

    def report_all() -> None:
        for number in range(30_001):
            effects.note(number / 300)

    thread = threading.Thread(target=report_all)
    thread.start()
    while thread.is_alive():
        await board.step()
    await board.step()
    [row] = await database.fetch("SELECT progress FROM jobs WHERE id = $1", job_id)
    assert msgspec.json.decode(row[0])["percent"] == 100
    assert not board.has_news


async def test_a_job_whose_row_is_locked_holds_nobody_up(
    store: ProgressStore, jobs: JobStore, leases: LeaseStore, settings: Settings, database: Database
) -> None:
    """Somebody looks at one job in psql and forgets to commit: the others are shown, this one as soon as it is free."""
    lease = await open_lease(leases, settings)
    locked, free = [Owner(*await running(jobs, lease), lease.id) for _ in range(2)]
    board = ProgressBoard(store)
    for owner in (locked, free, Owner(new_id(), 1, lease.id)):
        board.put(Report(owner, 50, ""))
    rival = Database(settings.database_url, "rival")
    async with rival.transaction() as transaction:
        await transaction.fetch("SELECT FROM jobs WHERE id = $1 FOR UPDATE", locked.job_id)
        await board.step()
        assert await _shown(database) == {free.job_id}
        await board.deliver({free.job_id})
    await rival.close()
    await board.step()
    assert await _shown(database) == {free.job_id, locked.job_id}
    assert not board.has_news


async def _shown(database: Database) -> set[str]:
    return {row[0] for row in await database.fetch("SELECT id::text FROM jobs WHERE progress IS NOT NULL")}
