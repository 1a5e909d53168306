"""Batches that touch the same jobs in opposite order wait for each other, and never for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from msgspec import Raw

from shared.database import BY_KEY, Database
from shared.errors import DatabaseUnavailableError
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.models import Lease, NewJob
from shared.settings import Settings
from tests.support.make import TYPES, open_lease

COUNT = 300
ROUNDS = 3
Batch = Sequence[str]
Deed = Callable[[JobStore, Batch, Lease], Any]

DEEDS: dict[str, Deed] = {
    "claim": lambda store, ids, lease: store.claim(ids, lease, TYPES),
    "succeed": lambda store, ids, lease: store.succeed([(job_id, 1, b"1") for job_id in ids], lease.id),
    "retry": lambda store, ids, lease: store.retry([(job_id, 1, 0.0, "", "") for job_id in ids], lease.id),
    "snooze": lambda store, ids, lease: store.snooze([(job_id, 1, 0.0) for job_id in ids], lease.id),
    "bury": lambda store, ids, lease: store.bury([(job_id, 1, "r", "e", "") for job_id in ids], lease.id),
    "hand_back": lambda store, ids, lease: store.hand_back([(job_id, 1) for job_id in ids], lease.id),
    "abort": lambda store, ids, lease: store.abort([(job_id, 1) for job_id in ids], lease.id),
    "cancel": lambda store, ids, _: store.cancel(ids),
    "reclaim": lambda store, ids, _: store.reclaim(ids, 3),
    "defer": lambda store, ids, _: store.defer(ids, 0.0),
}
FIRST = ("claim", "cancel", "defer")


@pytest.fixture
async def rivals(settings: Settings) -> AsyncIterator[list[JobStore]]:
    """Three workers' connections and a reaper's."""
    made = [Database(settings.database_url, f"rival {n}", settings=BY_KEY if n else {}) for n in range(4)]
    yield [JobStore(database) for database in made]
    for database in made:
        await database.close()


@pytest.mark.parametrize("event", DEEDS)
async def test_two_batches_in_opposite_order_cause_no_deadlock(
    event: str, rivals: list[JobStore], jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """Four at once, forwards and backwards, again and again; PostgreSQL's own count says that no deadlock was resolved either."""
    lease = await open_lease(leases, settings)
    for _ in range(ROUNDS):
        new = [NewJob(id=new_id(), type=TYPES[0], payload=Raw(b"{}")) for _ in range(COUNT)]
        await jobs.submit(new)
        ids = [job.id for job in new]
        if event not in FIRST:
            await jobs.claim(ids, lease, TYPES)
        if event == "reclaim":
            await leases.close(lease)
        won = await asyncio.gather(*(DEEDS[event](store, ids[:: 1 if n % 2 else -1], lease) for n, store in enumerate(rivals)))
        if event != "defer":
            assert sum(map(len, won)) == COUNT
        if event == "reclaim":
            lease = await open_lease(leases, settings)
    assert await deadlocks(database) == 0


async def test_two_submits_in_opposite_order_cause_no_deadlock(rivals: list[JobStore], database: Database) -> None:
    """The same ids and the same keys, forwards and backwards, as after an unknown outcome: each job once."""
    new = [NewJob(id=new_id(), type="t", payload=Raw(b"{}"), idempotency_key=f"k{n}" if n % 2 else None) for n in range(COUNT)]
    plain, keyed = new[::2], new[1::2]
    await asyncio.gather(*(store.submit(plain[:: 1 if n % 2 else -1]) for n, store in enumerate(rivals)))
    await asyncio.gather(*(store.submit_keyed(keyed[:: 1 if n % 2 else -1], 60.0, lambda _: None) for n, store in enumerate(rivals)))
    assert await database.fetch_value("SELECT count(*) FROM jobs") == COUNT
    assert await deadlocks(database) == 0


async def test_the_victim_of_a_deadlock_may_simply_ask_again(rivals: list[JobStore], jobs: JobStore) -> None:
    """Two transactions lock two rows crosswise: one is rolled back, which is told as an outage and not as an end of the program."""
    new = [NewJob(id=new_id(), type="t", payload=Raw(b"{}")) for _ in range(2)]
    await jobs.submit(new)
    both = asyncio.Barrier(2)

    async def cross(store: JobStore, ids: Batch) -> None:
        async with store._database.transaction() as transaction:
            for job_id in ids:
                await transaction.fetch("SELECT FROM jobs WHERE id = $1 FOR UPDATE", job_id)
                if job_id == ids[0]:
                    await both.wait()

    ids = [job.id for job in new]
    results = await asyncio.gather(cross(rivals[0], ids), cross(rivals[1], ids[::-1]), return_exceptions=True)
    assert [type(result) for result in results if result] == [DatabaseUnavailableError]
    assert len(await rivals[0].cancel(ids)) == 2
    assert await rivals[1].cancel(ids) == set()


async def deadlocks(database: Database) -> int:
    """Return how many deadlocks PostgreSQL has had to resolve in this database."""
    await database.fetch("SELECT pg_stat_force_next_flush()")
    return int(await database.fetch_value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
