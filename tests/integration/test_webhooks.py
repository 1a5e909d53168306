"""Whatever ends a job that has a webhook_url makes its delivery in the same transaction; nothing else makes one."""

import json
from typing import Any

import pytest

from shared.database import Database
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import MOVES, TERMINAL, Status
from shared.models import Lease
from shared.settings import Settings
from tests.integration.test_matrix import TRANSITIONS
from tests.support.make import in_state, open_lease, running, submitted

pytestmark = pytest.mark.usefixtures("catalog")
URL = "https://example.org/hook"


@pytest.fixture
async def lease(leases: LeaseStore, settings: Settings) -> Lease:
    """A worker that lives."""
    return await open_lease(leases, settings)


async def deliveries(database: Database) -> list[dict[str, Any]]:
    """Return the payloads of all deliveries, oldest first."""
    rows = await database.fetch("SELECT payload FROM jobs WHERE type = 'webhook.deliver' ORDER BY id")
    return [json.loads(row["payload"]) for row in rows]


ENDS = {"succeed": "completed", "bury": "failed", "abort": "cancelled", "cancel": "cancelled", "expire": "cancelled"}


@pytest.mark.parametrize("event", MOVES)
async def test_every_end_and_nothing_but_an_end_makes_a_delivery(event: str, jobs: JobStore, database: Database, lease: Lease) -> None:
    """Make each move of the lifecycle once, of a job with a webhook: it is told of terminal states, with their names."""
    source = min(MOVES[event].sources)
    job_id, attempt = await in_state(jobs, database, lease, source)
    await database.fetch("UPDATE jobs SET webhook_url = $2, expires_at = now() - interval '1 s' WHERE id = $1", job_id, URL)
    if event == "claim":
        await database.fetch("UPDATE jobs SET expires_at = NULL WHERE id = $1", job_id)
    if event == "reclaim":
        await database.fetch("UPDATE leases SET dead_at = now() WHERE id = $1", lease.id)
    assert await deliveries(database) == []  # that the job was given a webhook, be it over already, tells nobody
    assert await TRANSITIONS[event](jobs, job_id, attempt, lease)
    told = [(found["url"], found["event"]["type"]) for found in await deliveries(database)]
    assert told == ([(URL, f"job.{ENDS[event]}")] if event in ENDS else [])


async def test_every_terminal_move_was_tried() -> None:
    """The table above names all of them; reclaim, which ends a job only sometimes, has a test of its own."""
    ending = {move.event for move in MOVES.values() if move.targets & TERMINAL}
    assert ending == ENDS.keys() | {"reclaim"}


async def test_a_reclaim_that_ends_the_job_is_told(jobs: JobStore, database: Database, lease: Lease) -> None:
    """The other target of reclaim: its crashes were too many."""
    job_id, _ = await running(jobs, lease, webhook_url=URL)
    await database.fetch("UPDATE leases SET dead_at = now() WHERE id = $1", lease.id)
    await jobs.reclaim([job_id], max_crashes=1)
    [found] = await deliveries(database)
    assert (found["event"]["type"], found["event"]["data"]["reason"], found["event"]["data"]["crashes"]) == ("job.failed", "crashed", 1)


async def test_what_a_receiver_is_told(jobs: JobStore, database: Database, lease: Lease) -> None:
    """The job as it is now, in the shape of the standard, and nothing of its payload."""
    job_id, attempt = await running(jobs, lease, webhook_url=URL, payload=b'{"secret": 1}', tags=["a", "b"], queue="mail")
    await jobs.succeed([(job_id, attempt, '{"path": "öä", "n": 1.50}'.encode())], lease.id)
    [row] = await database.fetch("SELECT * FROM jobs WHERE type = 'webhook.deliver'")
    event = json.loads(row["payload"])["event"]
    data = event.pop("data")
    assert event == {"type": "job.completed", "timestamp": data["finished_at"]}
    times = [data.pop(name) for name in ("created_at", "started_at", "finished_at")]
    assert times == sorted(times)
    assert all(len(time) == 27 and time[10] == "T" and time[-1] == "Z" for time in times)
    assert data == {
        "id": job_id, "type": "test.noop", "status": "COMPLETED", "queue": "mail", "priority": "normal", "attempts": 1, "failures": 0,
        "crashes": 0, "max_attempts": 4, "result": {"path": "öä", "n": 1.5}, "result_omitted": False, "reason": None, "error": None,
        "tags": ["a", "b"],
    }  # fmt: skip
    assert b'"n": 1.50' in row["payload"], "the result is passed on byte by byte"
    assert (row["queue"], row["max_attempts"], row["timeout_seconds"], row["tags"], row["webhook_url"]) == (
        "default",
        8,
        30,
        [job_id],
        None,
    )
    assert json.loads(row["backoff"]) == {"kind": "exponential", "base": 5, "factor": 5, "max": 3600, "jitter": 0.2}


@pytest.mark.parametrize(("size", "omitted"), [(65_536, False), (65_537, True)])
async def test_a_large_result_is_left_out(size: int, omitted: bool, jobs: JobStore, database: Database, lease: Lease) -> None:
    """64 KiB are passed on; beyond that the receiver is told to look for itself."""
    job_id, attempt = await running(jobs, lease, webhook_url=URL)
    await jobs.succeed([(job_id, attempt, b'"' + b"x" * (size - 2) + b'"')], lease.id)
    [found] = await deliveries(database)
    assert found["event"]["data"]["result_omitted"] is omitted
    assert (found["event"]["data"]["result"] is None) is omitted


async def test_a_batch_makes_as_many_as_have_webhooks(jobs: JobStore, database: Database, lease: Lease) -> None:
    """In one statement, each with an id of its own, all of them in the outbox and in the counts."""
    pairs = [await running(jobs, lease, webhook_url=URL if number % 2 else None) for number in range(20)]
    await jobs.succeed([(job_id, attempt, b"null") for job_id, attempt in pairs], lease.id)
    told = {found["event"]["data"]["id"] for found in await deliveries(database)}
    assert told == {job_id for number, (job_id, _) in enumerate(pairs) if number % 2}
    rows = await database.fetch("SELECT id FROM jobs WHERE type = 'webhook.deliver' AND id IN (SELECT job_id FROM outbox)")
    assert len(rows) == 10
    assert await database.fetch_value("SELECT sum(n)::int FROM job_counts WHERE type = 'webhook.deliver' AND status = 'PENDING'") == 10


async def test_an_end_that_is_taken_back_tells_nobody(jobs: JobStore, database: Database) -> None:
    """The delivery belongs to the transaction that ends the job."""
    job_id = await submitted(jobs, webhook_url=URL)
    await database.fetch("BEGIN")
    assert await jobs.cancel([job_id])
    assert len(await deliveries(database)) == await database.fetch_value("SELECT count(*) FROM outbox") == 1
    await database.fetch("ROLLBACK")
    assert await deliveries(database) == []
    assert await database.fetch_value("SELECT count(*) FROM outbox") == 0


async def test_each_end_is_told_once(jobs: JobStore, database: Database) -> None:
    """A job that is run again and ends again is told again, as another message; a second try of the same end is not."""
    job_id = await submitted(jobs, webhook_url=URL)
    assert await jobs.cancel([job_id])
    assert not await jobs.cancel([job_id])
    await database.fetch("UPDATE jobs SET updated_at = now() WHERE id = $1", job_id)
    assert len(await deliveries(database)) == 1
    await jobs.replay([job_id])
    await jobs.cancel([job_id])
    assert len(await deliveries(database)) == 2
    assert await database.fetch_value("SELECT count(DISTINCT id) FROM jobs WHERE type = 'webhook.deliver'") == 2


async def test_the_end_of_a_delivery_makes_no_other(jobs: JobStore, database: Database) -> None:
    """However it ends."""
    await jobs.cancel([await submitted(jobs, webhook_url=URL)])
    delivery = await database.fetch_value("SELECT id::text FROM jobs WHERE type = 'webhook.deliver'")
    await jobs.cancel([delivery])
    assert await database.fetch_value("SELECT status::text FROM jobs WHERE id = $1", delivery) == Status.CANCELLED
    assert len(await deliveries(database)) == 1


async def test_an_operator_may_change_how_often_it_is_tried(jobs: JobStore, database: Database) -> None:
    """The type's own defaults apply, as to any other type; without any there are still eight attempts."""
    await database.fetch("""UPDATE job_types SET defaults = '{"max_attempts": 3}' WHERE type = 'webhook.deliver'""")
    await jobs.cancel([await submitted(jobs, webhook_url=URL)])
    await database.fetch("DELETE FROM job_types WHERE type = 'webhook.deliver'")
    await jobs.cancel([await submitted(jobs, webhook_url=URL)])
    rows = await database.fetch("SELECT max_attempts, backoff FROM jobs WHERE type = 'webhook.deliver' ORDER BY id")
    assert [(row["max_attempts"], row["backoff"]) for row in rows] == [(3, None), (8, None)]
