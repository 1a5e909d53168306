"""All that is needed to say why a job is where it is (shared/sql/why.sql)."""

from datetime import datetime

import msgspec

from shared.database import Database
from shared.queries import load

SQL = load("why")
MOST_AHEAD = 50_000  # to count more would cost seconds, and "more than 50,000" says enough


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A job, who works on it or could, and what is before it, at the moment `now`. Fields are those of the query `facts`."""

    id: str
    type: str
    queue: str
    status: str
    reason: str | None
    error: str | None
    attempts: int
    failures: int
    max_attempts: int
    run_at: datetime
    expires_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool
    worker: str | None
    paused: bool  # its queue
    lease_alive: bool  # of the worker that runs it
    heartbeat_at: datetime | None  # when that worker was last heard of
    lease_seconds: float | None
    workers: int  # that live
    serving: int  # of them, those that serve its queue
    able: int  # of these, those that know its type
    willing: int  # of these, those that do not end just now
    types: list[str]  # that live workers know
    ahead: int
    ahead_more: bool  # there are more than were counted
    now: datetime


async def facts(database: Database, job_id: str) -> Facts | None:
    """Return what is known of the job, None when there is none. Raises what `Database` raises."""
    rows = await database.fetch(SQL["facts"], job_id, MOST_AHEAD)
    return Facts(**dict(rows[0])) if rows else None
