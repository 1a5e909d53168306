"""Retry and cancel."""

from shared.broker import Broker
from shared.database import Database
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import Letter
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.make import in_state, open_lease, status_of
from tests.support.producer import Api


async def test_retry_moves_what_is_over_and_refuses_the_rest(
    api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """FAILED and CANCELLED run again under their ids: 202. Every other state: 409 that names it."""
    lease = await open_lease(leases, settings)
    for status in Status:
        job_id, _ = await in_state(jobs, database, lease, status)
        answer = await api.post(f"/jobs/{job_id}/retry")
        if status in {Status.FAILED, Status.CANCELLED}:
            assert (answer.status, answer.json["status"], answer.json["failures"]) == (202, "PENDING", 0)
            assert answer.headers["Location"] == f"/jobs/{job_id}"
        else:
            assert status in answer.problem(409)["detail"]
            assert await status_of(database, job_id) is status


async def test_a_retried_job_leaves_the_dead_letter_queue(
    api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings, broker: Broker
) -> None:
    """Its letter goes from the stream, whether or not PostgreSQL knows its place, others stay, and it is published."""
    lease = await open_lease(leases, settings)
    letters: dict[str, Letter] = {}
    for _ in range(3):
        [claimed] = await jobs.claim([await api.submitted()], lease, ["test.noop"])
        letters |= await jobs.bury([(claimed.id, claimed.attempt, "attempts_spent", "it failed", "")], lease.id)
    places = {letter.job_id: letter.place for letter in await broker.bury([(letter, None) for letter in letters.values()])}
    placed, unplaced, stays = letters
    await database.fetch("UPDATE dead_letters SET entry_id = $1 WHERE job_id = $2", places[placed], placed)
    await eventually(lambda: _length(broker, 3))
    for job_id in (placed, unplaced):
        assert (await api.post(f"/jobs/{job_id}/retry")).status == 202
    assert [letter.job_id async for letter in broker.letters.all()] == [stays]
    assert [job["id"] for job in (await api.get("/jobs/dead")).json["jobs"]] == [stays]
    await eventually(lambda: _length(broker, 5))


async def _length(broker: Broker, count: int) -> bool:
    length: int = await broker.client.xlen(broker.keys.stream("normal"))
    return length == count


async def test_cancel_in_every_state(api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings) -> None:
    """What waits is cancelled: 200, and again 200. What runs is asked to stop: 202. What is over otherwise: 409."""
    lease = await open_lease(leases, settings)
    expected = {
        Status.SCHEDULED: (200, "CANCELLED"),
        Status.PENDING: (200, "CANCELLED"),
        Status.RETRYING: (200, "CANCELLED"),
        Status.CANCELLED: (200, "CANCELLED"),
        Status.PROCESSING: (202, "PROCESSING"),
        Status.COMPLETED: (409, "COMPLETED"),
        Status.FAILED: (409, "FAILED"),
    }
    for status, (answered, then) in expected.items():
        job_id, _ = await in_state(jobs, database, lease, status)
        for _ in range(2):
            answer = await api.post(f"/jobs/{job_id}/cancel")
            assert (answer.status, await status_of(database, job_id)) == (answered, then), status
        if answered == 409:
            assert then in answer.problem(409)["detail"]
        else:
            assert answer.json["cancel_requested"] is (status is Status.PROCESSING)


async def test_a_cancelled_job_waits_for_nothing(api: Api, broker: Broker) -> None:
    """Its place in the ZSET goes with it, also when it is retried at once."""
    job_id = await api.submitted(delay=600)
    await eventually(lambda: _delayed(broker, 1))
    assert (await api.call("POST", f"/jobs/{job_id}/cancel")).status == 200
    await eventually(lambda: _delayed(broker, 0))


async def _delayed(broker: Broker, count: int) -> bool:
    return (await broker.depths())["delayed"] == count


async def test_an_action_needs_no_body(api: Api) -> None:
    """POST without a body and without a media type is what curl -X POST sends."""
    job_id = await api.submitted()
    assert (await api.call("POST", f"/jobs/{job_id}/cancel")).status == 200
    assert (await api.call("POST", f"/jobs/{job_id}/retry")).status == 202
