"""What people ask about jobs (shared/sql/views.sql): one typed method a question."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from shared.database import Database, Databases, Row
from shared.ids import floor_id
from shared.lifecycle import TERMINAL, Status
from shared.models import Moment, RawJson
from shared.queries import load

SQL = load("views")
MOST_PAGE_BYTES = 8 * 1024 * 1024
CLOCK_SKEW_SECONDS = 3600.0  # ids are made by producers' clocks, created_at by PostgreSQL's


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


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; None means any. `before_id`: only jobs with smaller ids, which is how pages go on."""

    status: Sequence[Status] | None = None
    type: str | None = None
    queue: str | None = None
    priority: str | None = None
    tag: str | None = None
    q: str | None = None  # text within type, error or payload
    created_after: Moment | None = None
    created_before: Moment | None = None
    schedule: str | None = None
    reason: str | None = None
    dead_after: Moment | None = None  # of dead-lettered jobs; the end of others counts, too
    dead_before: Moment | None = None
    ids: Sequence[str] | None = None
    before_id: str | None = None


class Page(msgspec.Struct, frozen=True):
    """Some jobs, and whether there are more behind them."""

    jobs: list[JobView]
    more: bool


class Counts(msgspec.Struct, frozen=True):
    """How many jobs are in which state: all in all (every state is named), by queue and by type (those that occur)."""

    by_status: dict[str, int]
    by_queue: dict[str, dict[str, int]]
    by_type: dict[str, dict[str, int]]


_CONDITIONS = {
    "status": "status = ANY({}::job_status[])",
    "type": "type = {}",
    "queue": "queue = {}",
    "priority": "priority = {}::job_priority",
    "tag": "{} = ANY(tags)",
    "q": "position(lower({}) IN lower(concat_ws(' ', type, error, payload::text))) > 0",
    "created_after": "created_at >= {}",
    "created_before": "created_at < {}",
    "schedule": "id IN (SELECT job_id FROM schedule_runs WHERE schedule = {})",
    "reason": "reason = {}",
    "dead_after": "finished_at >= {}",
    "dead_before": "finished_at < {}",
    "ids": "id = ANY({}::uuid[])",
    "before_id": "id < {}::uuid",
}


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
        """Return up to `limit` jobs, newest first. A page of some MiB ends early: large jobs must not fill our memory."""
        where, args = conditions(wanted)
        query = SQL["page"].format(columns=SQL["columns"], where=where, limit=len(args) + 1, most=len(args) + 2)
        rows = await self._any().fetch(query, *args, limit + 1, MOST_PAGE_BYTES)
        jobs = [_view(row) for row in rows[:limit]]
        return Page(jobs, more=bool(rows) and rows[0]["found"] > len(jobs))

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


def conditions(wanted: Filter) -> tuple[str, list[Any]]:
    """Return an SQL condition over `jobs` that finds what is wanted, and its arguments from $1 on."""
    found, args = ["true"], []
    for name, condition in _CONDITIONS.items():
        value = getattr(wanted, name)
        if value is not None:
            args.append(value)
            found.append(condition.format(f"${len(args)}"))
    return " AND ".join(found + _shortcuts(wanted)), args


def _shortcuts(wanted: Filter) -> list[str]:
    """Conditions that follow from the others and that an index can serve: ids sort by age, open jobs and dead ones have their own."""
    extra = []
    if wanted.created_after is not None:
        extra.append(f"id >= '{floor_id(wanted.created_after.timestamp() - CLOCK_SKEW_SECONDS)}'")
    if wanted.created_before is not None:
        extra.append(f"id < '{floor_id(wanted.created_before.timestamp() + CLOCK_SKEW_SECONDS)}'")
    if wanted.status is not None and not TERMINAL & set(wanted.status):
        extra.append("finished_at IS NULL")
    if wanted.status is not None and set(wanted.status) == {Status.FAILED}:
        extra.append("id IN (SELECT job_id FROM dead_letters)")
    return extra


def _raw(value: RawJson | None) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(value)


def _view(row: Row) -> JobView:
    values = dict(row)
    values.pop("found", None)
    for name in ("payload", "result", "progress"):
        values[name] = _raw(values[name])
    values["tags"] = values["tags"] or []
    return JobView(**values)
