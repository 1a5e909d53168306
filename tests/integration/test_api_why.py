"""Why is this job not running, and which types are there: asked of a real producer."""

from typing import Any

import pytest

from shared.database import Database
from shared.job_facts import MOST_AHEAD
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.settings import Settings
from tests.support.make import in_state, open_lease, running
from tests.support.producer import Api


async def why(api: Api, job_id: str) -> dict[str, Any]:
    """Ask."""
    answer = await api.get(f"/jobs/{job_id}/why")
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json
    assert found["id"] == job_id
    return found


async def test_in_every_state(api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings) -> None:
    """Each has its reason, and the facts of a real row."""
    lease = await open_lease(leases, settings)
    expected = {
        Status.PROCESSING: "running",
        Status.COMPLETED: "completed",
        Status.FAILED: "failed",
        Status.CANCELLED: "cancelled",
        Status.PENDING: "next",
        Status.SCHEDULED: "behind_others",
        Status.RETRYING: "behind_others",
    }
    for status, reason in expected.items():
        job_id, _ = await in_state(jobs, database, lease, status)
        found = await why(api, job_id)
        assert (found["status"], found["reason"]) == (status, reason), found
        if status in {Status.PENDING, Status.SCHEDULED}:  # older than those that come after it
            await database.fetch("UPDATE jobs SET run_at = now() - interval '1 minute' WHERE id = $1", job_id)
    later = await why(api, await api.submitted(delay=60))
    assert (later["reason"], later["due_at"] > "2026") == ("due_later", True)


async def test_a_worker_that_is_missing_silent_or_dead(
    api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """Nobody at all; nobody who knows the type; a worker that stops to give signs of life."""
    job_id = await api.submitted(type="csv.generate")
    assert (await why(api, job_id))["reason"] == "no_worker"
    lease = await open_lease(leases, settings)
    found = await why(api, job_id)
    assert (found["reason"], found["types"]) == ("no_worker_for_type", ["test.noop"])
    other = await api.submitted()
    await leases.beat(lease, draining=True)
    assert (await why(api, other))["reason"] == "workers_draining"
    job_id, _ = await running(jobs, lease)
    await jobs.request_cancel(job_id)
    assert (await why(api, job_id))["reason"] == "stop_requested"
    await database.fetch("UPDATE leases SET heartbeat_at = now() - interval '7 seconds'")
    found = await why(api, job_id)
    assert (found["reason"], found["worker"]) == ("worker_silent", lease.worker)
    await leases.close(lease)
    assert (await why(api, job_id))["reason"] == "worker_dead"


async def test_the_line_is_counted_in_its_own_stream(api: Api, leases: LeaseStore, settings: Settings, database: Database) -> None:
    """Jobs of another priority or queue, later ones, and those that run or are over are not ahead; a long line is counted to a bound."""
    await open_lease(leases, settings)
    await api.post("/jobs/bulk", [{"type": "test.noop"}] * 3 + [{"type": "test.noop", "priority": "high"}] * 5)
    await api.post("/jobs/bulk", [{"type": "test.noop", "queue": "reports"}] * 2)
    job_id = await api.submitted()
    await api.post("/jobs/bulk", [{"type": "test.noop"}] * 7)
    assert (await why(api, job_id))["ahead"] == 3
    assert (await why(api, await api.submitted(priority="low")))["reason"] == "next"
    await database.fetch(
        "INSERT INTO jobs (id, type, run_at) SELECT gen_random_uuid(), 'test.noop', now() - interval '1 hour' FROM generate_series(1, $1)",
        MOST_AHEAD,
    )
    assert f"more than {MOST_AHEAD:,} jobs" in (await why(api, job_id))["why"]


@pytest.mark.parametrize("job_id", ["01a20539-a066-74b0-bf44-ade9625de22e", "nonsense"])
async def test_no_such_job(api: Api, job_id: str) -> None:
    """404."""
    (await api.get(f"/jobs/{job_id}/why")).problem(404)


async def test_types_are_listed_with_those_who_run_them(api: Api, leases: LeaseStore, settings: Settings) -> None:
    """Schema, aliases and defaults as published; workers that live and work."""
    await leases.open(settings, ["worker"], ["csv.generate", "test.noop"])
    gone = await leases.open(settings, ["worker"], ["csv.generate"])
    await leases.close(gone)
    types = {kind["type"]: kind for kind in (await api.get("/job-types")).json["types"]}
    csv, mail = types["csv.generate"], types["email.send"]
    assert (csv["aliases"], csv["workers"], mail["workers"]) == (["csv-generation"], 1, 0)
    assert "EMAIL" in mail["aliases"]
    assert mail["schema"]["$ref"] or mail["schema"]["type"] == "object"
    assert csv["defaults"].keys() <= {"timeout", "max_attempts", "backoff"}


async def test_an_alias_is_its_type(api: Api) -> None:
    """At submit the name becomes the type's own; an unknown one gets those that look like it."""
    assert (await api.job(await api.submitted(type="csv-generation")))["type"] == "csv.generate"
    problem = (await api.submit(type="CSV_Generate")).problem(422)
    assert "did you mean csv.generate or" in problem["detail"]


async def test_the_api_describes_itself(api: Api) -> None:
    """The document is served, here and under the version."""
    for prefix in ("", "/api/v1"):
        answer = await api.get(f"{prefix}/openapi.json")
        assert (answer.status, answer.json["openapi"]) == (200, "3.1.0")
        assert "/jobs/{id}/why" in answer.json["paths"]


async def test_a_queue_that_is_paused_or_that_nobody_serves(api: Api, leases: LeaseStore, settings: Settings, database: Database) -> None:
    """Both are named before anything else is asked about the workers."""
    job_id = await api.submitted(queue="reports")
    await api.post("/queues/reports/pause")
    assert (await why(api, job_id))["reason"] == "queue_paused"
    await api.post("/queues/reports/resume")
    lease = await open_lease(leases, settings)
    assert (await why(api, job_id))["reason"] == "next"
    for queues, reason in ((["other"], "no_worker_for_queue"), (["other", "*"], "next"), (["reports"], "next")):
        await database.fetch("UPDATE leases SET queues = $1 WHERE id = $2", queues, lease.id)
        assert (await why(api, job_id))["reason"] == reason, queues
