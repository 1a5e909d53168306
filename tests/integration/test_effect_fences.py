"""Who may reserve, take over and record an effect: every state of a job under every fence, and words that come late."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared import probe
from shared.database import Database
from shared.effect_store import EffectStore, Owner
from shared.job_store import JobStore
from shared.jobs import Context
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.make import TYPES, in_state, open_lease, running
from tests.support.shop import Shop, charging, effects_in

Deed = Callable[[EffectStore, Owner], Awaitable[object]]

DEEDS: dict[str, Deed] = {
    "reserve": lambda store, owner: store.reserve(owner, "new"),
    "take over": lambda store, owner: store.take_over(owner, "left", 0),
    "checkpoint": lambda store, owner: store.save_checkpoint(owner, b"1"),
}


@pytest.mark.parametrize("fence", ["current", "other attempt", "other lease", "dead lease"])
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("deed", DEEDS)
async def test_only_the_attempt_that_owns_the_job_now_may_begin(
    deed: str,
    status: Status,
    fence: str,
    jobs: JobStore,
    leases: LeaseStore,
    database: Database,
    settings: Settings,
    effect_store: EffectStore,
) -> None:
    """PROCESSING, its attempt, its lease, and that lease alive: else nothing is written."""
    lease = await open_lease(leases, settings)
    job_id, attempt = await in_state(jobs, database, lease, status)
    await database.fetch("INSERT INTO effects (job_id, key, attempt) VALUES ($1, 'left', 0)", job_id)
    if fence == "dead lease":
        await leases.close(lease)
    presented = lease if fence != "other lease" else await open_lease(leases, settings)
    before = await _written(database)
    won = await DEEDS[deed](effect_store, Owner(job_id, attempt + (fence == "other attempt"), presented.id))
    assert bool(won) == (status is Status.PROCESSING and fence == "current")
    assert (await _written(database) == before) != bool(won)


async def _written(database: Database) -> list[Any]:
    rows = await database.fetch("SELECT job_id, key, attempt, began_at::text FROM effects ORDER BY key")
    return [*map(tuple, rows), *map(tuple, await database.fetch("SELECT job_id, data FROM checkpoints"))]


async def test_a_reservation_waits_for_who_takes_the_job_away(
    jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings, effect_store: EffectStore
) -> None:
    """A reclaim that is under way wins: the reservation sees what it did, not what was before."""
    lease = await open_lease(leases, settings)
    job_id, attempt = await running(jobs, lease)
    rival = Database(settings.database_url, "rival")
    async with rival.transaction() as transaction:
        await transaction.fetch("UPDATE jobs SET status = 'PENDING', lease_id = NULL WHERE id = $1", job_id)
        reserving = asyncio.create_task(effect_store.reserve(Owner(job_id, attempt, lease.id), "charge"))
        await eventually(lambda: _waits(database), what="a reservation that waits")
    assert await reserving is None
    await rival.close()
    assert await database.fetch("SELECT FROM effects") == []


async def _waits(database: Database) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await database.fetch_value(query))


async def test_the_word_of_a_worker_that_lost_the_job_counts(
    jobs: JobStore, leases: LeaseStore, settings: Settings, effect_store: EffectStore
) -> None:
    """It woke up after its lease was lost and says that the effect which it had begun is done: the next attempt gets the result."""
    lease, next_lease = await open_lease(leases, settings), await open_lease(leases, settings)
    job_id, attempt = await running(jobs, lease)
    first = Owner(job_id, attempt, lease.id)
    await effect_store.reserve(first, "charge")
    await leases.close(lease)
    await jobs.reclaim([job_id], 3)
    await jobs.claim([job_id], next_lease, TYPES)
    second = Owner(job_id, attempt + 1, next_lease.id)
    found = await effect_store.reserve(second, "charge")
    assert found is not None
    assert (found.is_done, found.attempt) == (False, 1)
    assert await effect_store.record(first, "charge", b'"late"')
    found = await effect_store.reserve(second, "charge")
    assert found is not None
    assert (found.is_done, found.result) == (True, b'"late"')


async def test_but_not_when_somebody_took_it_over(
    jobs: JobStore, leases: LeaseStore, settings: Settings, effect_store: EffectStore
) -> None:
    """A later attempt, or a person, has decided: what the old worker says now changes nothing, neither done nor not done."""
    lease, next_lease = await open_lease(leases, settings), await open_lease(leases, settings)
    job_id, attempt = await running(jobs, lease)
    first = Owner(job_id, attempt, lease.id)
    for key in ("taken", "decided"):
        await effect_store.reserve(first, key)
    await leases.close(lease)
    await jobs.reclaim([job_id], 3)
    assert await effect_store.confirm(job_id, "decided", b'"by a person"')
    await jobs.claim([job_id], next_lease, TYPES)
    second = Owner(job_id, attempt + 1, next_lease.id)
    assert await effect_store.take_over(second, "taken", 1)
    for key in ("taken", "decided"):
        assert not await effect_store.record(first, key, b'"late"')
        assert not await effect_store.release(first, key)
    assert await effect_store.record(second, "taken", b'"in time"')
    results = {effect.key: bytes(effect.result or b"") for effect in await effect_store.effects_of(job_id)}
    assert results == {"taken": b'"in time"', "decided": b'"by a person"'}


async def test_a_step_may_be_repeated_when_its_answer_was_lost(
    jobs: JobStore, leases: LeaseStore, settings: Settings, effect_store: EffectStore
) -> None:
    """Each says the same again."""
    lease = await open_lease(leases, settings)
    job_id, attempt = await running(jobs, lease)
    owner = Owner(job_id, attempt, lease.id)
    assert await effect_store.reserve(owner, "a") == await effect_store.reserve(owner, "a")
    assert [await effect_store.take_over(owner, "a", 0) for _ in range(2)] == [True, True]
    assert [await effect_store.record(owner, "a", b"1") for _ in range(2)] == [True, True]
    assert [await effect_store.save_checkpoint(owner, b"1") for _ in range(2)] == [True, True]


@pytest.mark.parametrize("marker", [b"INSERT INTO effects", b"UPDATE effects SET done_at"])
async def test_a_lost_answer_makes_nothing_uncertain(stage: Stage, marker: bytes) -> None:
    """PostgreSQL reserves, or records, and the connection breaks before it can say so: the same attempt asks again and goes on."""
    shop = Shop()
    wire = await stage.wire(stage.settings.database_url)
    await stage.start({"pay": charging(shop)}, database_url=wire.url, lease_seconds=30.0)
    wire.drop_reply(marker, reset=True)
    row = await stage.reaches(await stage.submit("pay"), Status.COMPLETED)
    assert wire.reply_dropped.is_set()
    assert (row["attempts"], row["result"], shop.charges) == (1, {"receipt": 1}, [1])
    assert await effects_in(stage) == [("charge", 1, True)]


async def test_an_outage_within_the_effect_is_waited_for(stage: Stage) -> None:
    """PostgreSQL goes away while the effect runs, and comes back: its end is recorded, nothing is uncertain."""
    wire = await stage.wire(stage.settings.database_url)
    runs: list[int] = []

    async def handler(ctx: Context, _: Any) -> Any:
        async def charge() -> int:
            runs.append(ctx.attempt)
            wire.refuse()
            return 17

        return await ctx.once("charge", charge)

    await stage.start({"pay": handler}, database_url=wire.url, lease_seconds=30.0)
    with probe.watch("heartbeat_missed") as missed:
        job_id = await stage.submit("pay")
        await eventually(lambda: len(missed) > 2, what="the outage")
    wire.heal()
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["attempts"], row["result"], runs) == (1, 17, [1])


async def test_reservations_are_on_the_disk_whatever_the_default(stage: Stage) -> None:
    """A database whose default is to confirm before it writes: not for effects. Progress needs no disk."""
    await stage.database.fetch("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
    consumer = (await stage.start()).consumer
    assert await consumer._effects.any().fetch_value("SHOW synchronous_commit") == "on"
    assert await consumer._databases["progress"].fetch_value("SHOW synchronous_commit") == "off"


async def test_a_reservation_puts_the_claim_on_the_disk_too(
    jobs: JobStore, leases: LeaseStore, settings: Settings, effect_store: EffectStore, database: Database
) -> None:
    """Claims commit asynchronously; once an effect may begin, its attempt number can not be given again: the log is written in order."""
    lease = await open_lease(leases, settings)
    await database.fetch("SET synchronous_commit = off")
    job_id, attempt = await running(jobs, lease)
    claimed_at = await database.fetch_value("SELECT pg_current_wal_insert_lsn()::text")
    await effect_store.reserve(Owner(job_id, attempt, lease.id), "charge")
    assert await database.fetch_value("SELECT pg_current_wal_flush_lsn() >= $1::text::pg_lsn", claimed_at)
