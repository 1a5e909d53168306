"""The primary proof: every SQL transition, from every state, under every fence, moves as the table says and not otherwise."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.database import Database
from shared.ids import new_id
from shared.job_store import MANY, SQL, JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import MOVES, Status
from shared.models import Lease
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.make import TYPES, in_state, open_lease, status_of

Transition = Callable[[JobStore, str, int, Lease], Awaitable[object]]

TRANSITIONS: dict[str, Transition] = {
    "claim": lambda jobs, job_id, _, lease: jobs.claim([job_id], lease, TYPES),
    "succeed": lambda jobs, job_id, attempt, lease: jobs.succeed([(job_id, attempt, b"1")], lease.id),
    "retry": lambda jobs, job_id, attempt, lease: jobs.retry([(job_id, attempt, 2.0, "it failed", "")], lease.id),
    "snooze": lambda jobs, job_id, attempt, lease: jobs.snooze([(job_id, attempt, 2.0)], lease.id),
    "bury": lambda jobs, job_id, attempt, lease: jobs.bury([(job_id, attempt, "permanent_failure", "it failed", "")], lease.id),
    "hand_back": lambda jobs, job_id, attempt, lease: jobs.hand_back([(job_id, attempt)], lease.id),
    "abort": lambda jobs, job_id, attempt, lease: jobs.abort([(job_id, attempt)], lease.id),
    "reclaim": lambda jobs, job_id, _, __: jobs.reclaim([job_id], max_crashes=3),
    "cancel": lambda jobs, job_id, _, __: jobs.cancel([job_id]),
    "expire": lambda jobs, job_id, _, __: jobs.expire([job_id]),
    "replay": lambda jobs, job_id, _, __: jobs.replay([job_id]),
}


def test_every_move_of_the_table_has_a_transition_here() -> None:
    """A move without SQL, or SQL without a move, would go unproved."""
    assert TRANSITIONS.keys() == MOVES.keys()


@pytest.mark.parametrize("fence", ["current", "other attempt", "other lease"])
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("event", MOVES)
async def test_a_transition_moves_exactly_what_the_table_allows(
    event: str, status: Status, fence: str, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """Bring a job into `status`, try `event` under that fence, and compare what happened with MOVES."""
    move = MOVES[event]
    lease = await open_lease(leases, settings)
    job_id, attempt = await in_state(jobs, database, lease, status)
    await _meet_preconditions(event, job_id, lease, database)
    before = await _row(database, job_id)

    presented = lease if fence != "other lease" else await open_lease(leases, settings)
    won = await TRANSITIONS[event](jobs, job_id, attempt + (fence == "other attempt"), presented)

    allowed = status in move.sources and (fence == "current" or not move.fenced)
    assert bool(won) == allowed
    if allowed:
        assert await status_of(database, job_id) in move.targets
    else:
        assert await _row(database, job_id) == before


@pytest.mark.parametrize("event", [event for event, move in MOVES.items() if move.fenced])
async def test_a_lease_that_is_dead_settles_until_the_job_is_reclaimed(
    event: str, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """The worker has ended what nobody else can have claimed yet, so its word counts; the reclaim is what voids the fence."""
    lease = await open_lease(leases, settings)
    early, late = await in_state(jobs, database, lease, Status.PROCESSING), await in_state(jobs, database, lease, Status.PROCESSING)
    await leases.close(lease)
    assert await jobs.claim([early[0]], await open_lease(leases, settings), TYPES) == []
    assert await TRANSITIONS[event](jobs, *early, lease)
    assert await status_of(database, early[0]) in MOVES[event].targets
    assert [job.id for job in await jobs.reclaim([early[0], late[0]], max_crashes=3)] == [late[0]]
    assert not await TRANSITIONS[event](jobs, *late, lease)
    assert await status_of(database, late[0]) is Status.PENDING


async def test_a_reclaim_buries_a_job_that_took_too_many_workers_with_it(
    jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """The other target of reclaim: the crash budget is spent, the job is dead-lettered with the reason."""
    lease = await open_lease(leases, settings)
    job_id, _ = await in_state(jobs, database, lease, Status.PROCESSING)
    await leases.close(lease)
    [reclaimed] = await jobs.reclaim([job_id], max_crashes=1)
    assert reclaimed.letter is not None
    assert reclaimed.letter.reason == "crashed"
    assert await status_of(database, job_id) is Status.FAILED


async def test_a_job_is_reclaimed_only_from_a_dead_lease(
    jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """A slow worker whose lease holds keeps its job, whatever a reaper believes."""
    lease = await open_lease(leases, settings)
    job_id, _ = await in_state(jobs, database, lease, Status.PROCESSING)
    assert await jobs.reclaim([job_id], max_crashes=3) == []
    assert await status_of(database, job_id) is Status.PROCESSING


async def test_a_reclaim_that_had_to_wait_leaves_the_job_to_who_has_it_by_then(
    jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """Another reaper was first, and a worker has claimed the job again, while the row was locked: that worker is alive."""
    dead, alive = await open_lease(leases, settings), await open_lease(leases, settings)
    job_id, _ = await in_state(jobs, database, dead, Status.PROCESSING)
    await leases.close(dead)
    early, late = Database(settings.database_url, "early"), Database(settings.database_url, "late")
    async with early.transaction() as first:
        assert len(await first.fetch(SQL["reclaim"], [job_id], 3)) == 1
        waiting = asyncio.create_task(late.fetch(SQL["reclaim"], [job_id], 3))
        await eventually(lambda: _somebody_waits(database), what="the second reclaim waits for the row")
        assert len(await first.fetch(SQL["claim"], [job_id], alive.id, alive.worker, TYPES, MANY)) == 1
    assert await waiting == []
    await early.close()
    await late.close()
    row = await database.fetch("SELECT status::text, attempts, crashes, lease_id::text FROM jobs WHERE id = $1", job_id)
    assert [tuple(values) for values in row] == [(Status.PROCESSING, 2, 1, alive.id)]


async def _somebody_waits(database: Database) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await database.fetch_value(query))


async def test_a_claim_wants_a_live_lease_a_due_job_and_a_known_type(
    jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """Each condition beside the state refuses the claim by itself."""
    lease, dead = await open_lease(leases, settings), await open_lease(leases, settings)
    await leases.close(dead)
    job_id, _ = await in_state(jobs, database, lease, Status.PENDING)
    assert await jobs.claim([job_id], dead, TYPES) == []
    assert await jobs.claim([job_id], lease, ["another.type"]) == []
    assert await jobs.claim([new_id()], lease, TYPES) == []
    await database.fetch("UPDATE jobs SET run_at = now() + interval '1 minute' WHERE id = $1", job_id)
    assert await jobs.claim([job_id], lease, TYPES) == []
    await database.fetch("UPDATE jobs SET run_at = now(), expires_at = now() - interval '1 second' WHERE id = $1", job_id)
    assert await jobs.claim([job_id], lease, TYPES) == []


async def test_the_attempt_number_never_falls(jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings) -> None:
    """Replay resets every budget but the fence: an old worker must not match the new life of a job."""
    lease = await open_lease(leases, settings)
    job_id, attempt = await in_state(jobs, database, lease, Status.FAILED)
    await jobs.replay([job_id])
    [claimed] = await jobs.claim([job_id], lease, TYPES)
    assert claimed.attempt == attempt + 1
    assert claimed.failures == 0


async def test_the_enum_in_postgresql_is_the_enum_in_python(database: Database) -> None:
    """Both name the same states, in the same order."""
    rows = await database.fetch("SELECT unnest(enum_range(NULL::job_status))::text")
    assert [row[0] for row in rows] == [status.value for status in Status]


async def _meet_preconditions(event: str, job_id: str, lease: Lease, database: Database) -> None:
    """What an event needs besides a state."""
    if event == "expire":
        await database.fetch("UPDATE jobs SET expires_at = now() - interval '1 second' WHERE id = $1", job_id)
    if event == "reclaim":
        await database.fetch("UPDATE leases SET dead_at = now() WHERE id = $1", lease.id)


async def _row(database: Database, job_id: str) -> dict[str, object]:
    [row] = await database.fetch("SELECT * FROM jobs WHERE id = $1", job_id)
    return dict(row)
