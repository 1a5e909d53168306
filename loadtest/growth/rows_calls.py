"""What people and dashboards ask, in the words of the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from loadtest.growth.rows_fill import SPAN_SECONDS
from loadtest.stack import Stack
from producer.cursor import encode

NTH = """
SELECT id::text FROM jobs
WHERE id >= (lpad(to_hex((extract(epoch FROM now() - make_interval(secs => $1)) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
ORDER BY jobs.id LIMIT 1
"""
OLDEST = "SELECT id::text FROM jobs WHERE type LIKE 'grow.%' AND status = $1::job_status ORDER BY jobs.id OFFSET 5 LIMIT 1"


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    body: bytes | None = None
    searches: bool = False  # reads what no index leads to; judged by itself


def _get(path: str) -> Call:
    return Call("GET", path)


def _list(query: str) -> Call:
    return Call("GET", f"/jobs?{query}", searches="q=" in query or "tag=" in query)


def _post(path: str, body: bytes) -> Call:
    return Call("POST", path, body)


def known(stack: Stack) -> dict[str, Call]:
    """Return every call by what it is."""
    middle, deep = (encode(_id_aged(stack, share)) for share in (0.5, 0.99))
    since, until = (quote((datetime.now(UTC) - timedelta(seconds=SPAN_SECONDS * share)).isoformat()) for share in (0.51, 0.5))
    old = {status: _oldest(stack, status) for status in ("COMPLETED", "FAILED", "PENDING")}
    return _lists(middle, deep, since, until) | _single(old) | _overviews() | _letters(middle, deep, until)


def _lists(middle: str, deep: str, since: str, until: str) -> dict[str, Call]:
    return {
        "GET /jobs": _get("/jobs"),
        "limit=1000": _list("limit=1000"),
        "cursor in the middle": _list(f"cursor={middle}"),
        "cursor near the end": _list(f"cursor={deep}"),
        "status=COMPLETED": _list("status=COMPLETED"),
        "status=FAILED": _list("status=FAILED"),
        "status=FAILED, cursor near the end": _list(f"status=FAILED&cursor={deep}"),
        "status=CANCELLED": _list("status=CANCELLED"),
        "status=PENDING": _list("status=PENDING"),
        "status=SCHEDULED,RETRYING": _list("status=SCHEDULED,RETRYING"),
        "status=PROCESSING (none)": _list("status=PROCESSING"),
        "status=FAILED,CANCELLED": _list("status=FAILED,CANCELLED"),
        "status=COMPLETED&type=rare": _list("status=COMPLETED&type=grow.rare"),
        "status=FAILED&type=rare (none)": _list("status=FAILED&type=grow.rare"),
        "type, frequent": _list("type=grow.mail"),
        "type, rare": _list("type=grow.rare"),
        "type, unknown": _list("type=grow.unknown"),
        "queue, frequent": _list("queue=bulk"),
        "queue, rare": _list("queue=rare"),
        "priority=high": _list("priority=high"),
        "created_before the middle": _list(f"created_before={until}"),
        "a window in the middle": _list(f"created_after={since}&created_before={until}"),
        "a window, type rare (none)": _list(f"created_after={since}&created_before={until}&type=grow.rare"),
        "schedule": _list("schedule=busy"),
        "schedule, unknown": _list("schedule=none"),
        "tag, frequent": _list("tag=grown"),
        "tag, rare": _list("tag=rare"),
        "q, frequent": _list("q=example.com"),
        "q, in none": _list("q=nowhere"),
    }


def _single(old: Mapping[str, str]) -> dict[str, Call]:
    return {
        "GET /jobs/{id}, old": _get(f"/jobs/{old['COMPLETED']}"),
        "/status": _get(f"/jobs/{old['FAILED']}/status"),
        "/attempts": _get(f"/jobs/{old['FAILED']}/attempts"),
        "/why, finished": _get(f"/jobs/{old['COMPLETED']}/why"),
        "/why, waiting": _get(f"/jobs/{old['PENDING']}/why"),
    }


def _overviews() -> dict[str, Call]:
    return {
        "GET /jobs/stats": _get("/jobs/stats"),
        "GET /queues": _get("/queues"),
        "GET /workers": _get("/workers"),
        "GET /job-types": _get("/job-types"),
        "GET /schedules": _get("/schedules"),
        "GET /metrics": _get("/metrics"),
        "GET /readyz": _get("/readyz"),
    }


def _letters(middle: str, deep: str, until: str) -> dict[str, Call]:
    return {
        "GET /jobs/dead": _get("/jobs/dead"),
        "dead, limit=1000": _get("/jobs/dead?limit=1000"),
        "dead, cursor in the middle": _get(f"/jobs/dead?cursor={middle}"),
        "dead, cursor near the end": _get(f"/jobs/dead?cursor={deep}"),
        "dead, type frequent": _get("/jobs/dead?type=grow.table"),
        "dead, type rare (none)": _get("/jobs/dead?type=grow.rare"),
        "dead, reason": _get("/jobs/dead?reason=timeout"),
        "dead, dead_before the middle": _get(f"/jobs/dead?dead_before={until}"),
        "POST /dlq/replay, dry": _post("/dlq/replay", b'{"dry_run": true}'),
        "replay, dry, limit 10,000": _post("/dlq/replay", b'{"dry_run": true, "limit": 10000}'),
        "replay, dry, type rare (none)": _post("/dlq/replay", b'{"dry_run": true, "type": "grow.rare"}'),
        "replay, dry, reason": _post("/dlq/replay", b'{"dry_run": true, "reason": "timeout"}'),
        "POST /dlq/purge, dry": _post("/dlq/purge", b'{"dry_run": true}'),
    }


def _id_aged(stack: Stack, share: float) -> str:
    [[job_id]] = stack.database.fetch(NTH, SPAN_SECONDS * share)
    return str(job_id)


def _oldest(stack: Stack, status: str) -> str:
    [[job_id]] = stack.database.fetch(OLDEST, status)
    return str(job_id)
