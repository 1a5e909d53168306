"""What people ask about jobs (shared/sql/views.sql): one typed method a question."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from shared.database import Database, Databases, Row
from shared.job_filter import Filter
from shared.job_search import search
from shared.lifecycle import Status
from shared.models import RawJson
from shared.queries import load

SQL = load("views")


class JobView(msgspec.Struct, frozen=True):
    """A job as clients see it. Field order is that of the query `columns`."""

    id: str
    type: str
    status: str
    queue: str
    priority: str
    payload: msgspec.Raw
    attempts: int
    failures: int
    crashes: int
    max_attempts: int
    result: msgspec.Raw | None
    reason: str | None
    error: str | None
    progress: msgspec.Raw | None
    tags: list[str]
    worker: str | None
    cancel_requested: bool
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    schedule: str | None  # that made it, at
    tick: datetime | None


class AttemptView(msgspec.Struct, frozen=True):
    """One attempt of a job. Field order is that of the query `attempts`."""

    attempt: int
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    outcome: str
    error: str | None
    traceback: str | None


class Page(msgspec.Struct, frozen=True):
    """Some jobs, newest first."""

    jobs: list[JobView]
    last_id: str | None  # where the next page goes on: only jobs with smaller ids; None: nothing more is to be found
    partial: bool  # the search was broken off when its time was up: the page may be short, even empty, although there are more


class Counts(msgspec.Struct, frozen=True):
    """How many jobs are in which state: all in all (every state is named), by queue and by type (those that occur)."""

    by_status: dict[str, int]
    by_queue: dict[str, dict[str, int]]
    by_type: dict[str, dict[str, int]]


class JobViews:
    """Answers questions over a few connections. Raises what `Database` raises."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def get(self, job_id: str) -> JobView | None:
        """Return the job, None if there is none."""
        rows = await self._any().fetch(f"SELECT {SQL['columns']} FROM jobs WHERE id = $1", job_id)  # noqa: S608 - our own text
        return _view(rows[0]) if rows else None

    async def attempts(self, job_id: str) -> list[AttemptView]:
        """Return every attempt, oldest first."""
        return [AttemptView(*row) for row in await self._any().fetch(SQL["attempts"], job_id)]

    async def page(self, wanted: Filter, limit: int) -> Page:
        """Return up to `limit` jobs, newest first. A page of some MiB ends early: large jobs must not fill our memory.

        What no index leads to is searched for stretch by stretch, from the newest on, until the page is full or the time is up.
        """
        rows = await search(self._any(), wanted, limit)
        return Page([_view(row) for row in rows.found], rows.last_id, rows.partial)

    async def counts(self) -> Counts:
        """Return how many jobs there are."""
        counts = Counts(dict.fromkeys(Status, 0), defaultdict(dict), defaultdict(dict))
        for row in await self._any().fetch(SQL["counts"]):
            for group in (counts.by_status, counts.by_queue[row["queue"]], counts.by_type[row["type"]]):
                group[row["status"]] = group.get(row["status"], 0) + row["n"]
        return counts

    async def completed_per_minute(self) -> int:
        """Return how many jobs were completed in the last 60 s."""
        return int(await self._any().fetch_value(SQL["throughput"]))

    async def oldest_age(self) -> float:
        """Return for how many seconds the oldest due job has been waiting; 0 when none is."""
        return max(0.0, await self._any().fetch_value(SQL["oldest"]) or 0.0)

    async def latencies(self) -> dict[str, Mapping[str, float] | None]:
        """Return seconds at p50, p95, p99 that the newest thousand jobs waited and ran."""
        [row] = await self._any().fetch(SQL["latencies"])
        return {
            name: dict(zip(("p50", "p95", "p99"), map(float, row[name]), strict=True)) if row[name] else None for name in ("wait", "run")
        }

    async def workers(self) -> list[dict[str, Any]]:
        """Return the live workers."""
        return [dict(row) for row in await self._any().fetch(SQL["workers"])]

    async def ping(self) -> None:
        """Raise DatabaseUnavailableError unless PostgreSQL answers."""
        await self._any().fetch("SELECT 1")

    def _any(self) -> Database:
        return self._databases.any()


def _raw(value: RawJson | None) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(value)


def _view(row: Row) -> JobView:
    values = dict(row)
    values.pop("found", None)
    for name in ("payload", "result", "progress"):
        values[name] = _raw(values[name])
    values["tags"] = values["tags"] or []
    return JobView(**values)
