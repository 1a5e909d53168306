"""Short ways to bring a job into the state that a test begins with."""

from typing import Any

from msgspec import Raw

from shared.database import Database
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import Lease, NewJob
from shared.settings import Settings

TYPES = ["test.noop"]


async def open_lease(leases: LeaseStore, settings: Settings) -> Lease:
    """Return a lease of a worker that lives."""
    return await leases.open(settings, ["worker"], TYPES)


def raw(fields: dict[str, Any]) -> dict[str, Any]:
    """Return `fields` with JSON given as bytes in the type in which a job has it."""
    return {name: Raw(value) if isinstance(value, bytes) and name != "fingerprint" else value for name, value in fields.items()}


async def submitted(jobs: JobStore, **fields: Any) -> str:
    """Return the id of a job that has just been submitted."""
    job = NewJob(**{"id": new_id(), "type": "test.noop", "payload": Raw(b"{}")} | raw(fields))
    await jobs.submit([job])
    return job.id


async def running(jobs: JobStore, lease: Lease, **fields: Any) -> tuple[str, int]:
    """Return (id, attempt) of a job that `lease` runs."""
    job_id = await submitted(jobs, **fields)
    [claimed] = await jobs.claim([job_id], lease, TYPES)
    return claimed.id, claimed.attempt


async def in_state(jobs: JobStore, database: Database, lease: Lease, status: Status) -> tuple[str, int]:
    """Return (id, attempt) of a job in that state, reached by legal moves; waiting ones are due."""
    if status is Status.PENDING:
        return await submitted(jobs), 0
    if status is Status.SCHEDULED:
        job_id = await submitted(jobs, delay=3600.0)
        await make_due(database, job_id)
        return job_id, 0
    job_id, attempt = await running(jobs, lease)
    match status:
        case Status.RETRYING:
            await jobs.retry([(job_id, attempt, 3600.0, "it failed", "")], lease.id)
            await make_due(database, job_id)
        case Status.COMPLETED:
            await jobs.succeed([(job_id, attempt, b"null")], lease.id)
        case Status.FAILED:
            await jobs.bury([(job_id, attempt, "attempts_spent", "it failed", "")], lease.id)
        case Status.CANCELLED:
            await jobs.abort([(job_id, attempt)], lease.id)
    return job_id, attempt


async def make_due(database: Database, job_id: str) -> None:
    """Let the time pass until the job is due."""
    await database.fetch("UPDATE jobs SET run_at = now() - interval '1 second' WHERE id = $1", job_id)


async def status_of(database: Database, job_id: str) -> Status:
    """Return the job's state as PostgreSQL has it."""
    return Status(await database.fetch_value("SELECT status::text FROM jobs WHERE id = $1", job_id))
