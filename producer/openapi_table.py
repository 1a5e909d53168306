"""What GET /openapi.json says of each route: one line an operation. A test compares it with the routes that there are."""

from typing import Any, NamedTuple

from producer import dlq_api, listing
from producer.jobs_api import MOST_BULK_JOBS
from shared.lifecycle import Status

Schema = dict[str, Any]
Answers = tuple[tuple[int, str, str], ...]


class Operation(NamedTuple):
    """One method of one path.

    `answers` are (status, what it means, name of the schema of its body, '' for none); a media type other than JSON stands before the
    name and a colon. `problems` are the statuses of problem documents, besides 401 and 403.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    answers: Answers
    problems: tuple[int, ...] = ()
    body: str = ""
    parameters: tuple[Schema, ...] = ()


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _query(names: tuple[str, ...]) -> tuple[Schema, ...]:
    return tuple({"name": name, "in": "query", "schema": _QUERY.get(name, _TEXT)} for name in names)


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_ID: Schema = {"type": "string", "format": "uuid"}
_IDS: Schema = {"type": "array", "items": _ID}
_TIME: Schema = {"type": "string", "format": "date-time"}
_MAP: Schema = {"type": "object"}
_MAPS: Schema = {"type": "array", "items": _MAP}
_STATUS: Schema = {"type": "string", "enum": list(Status)}
_PRIORITY: Schema = {"type": "string", "enum": ["high", "normal", "low"]}
_QUERY: dict[str, Schema] = {
    "status": {"type": "string", "description": "one or more states, with commas between them"},
    "priority": _PRIORITY,
    "created_after": _TIME,
    "created_before": _TIME,
    "dead_after": _TIME,
    "dead_before": _TIME,
    "limit": {"type": "integer", "minimum": 1, "maximum": listing.MOST_LISTED, "default": listing.DEFAULT_LISTED},
}
_PREFER: Schema = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "wait=N: answer when it has ended, or after N s (at most 60)",
}
_KEY: Schema = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}}
_TAG: Schema = {"name": "If-None-Match", "in": "header", "schema": _TEXT}
_SUBMIT = (400, 413, 415, 422, 429, 503)
_LOOK = (404, 503)

BODIES: dict[str, dict[str, Schema]] = {
    "job": {"application/json": _ref("Submission")},
    "jobs": {
        "application/json": {"type": "array", "items": _ref("Submission"), "maxItems": MOST_BULK_JOBS},
        "application/x-ndjson": {"type": "string", "description": "one job a line"},
    },
    "effect": {"application/json": _object({"key": _TEXT, "happened": _FLAG}, result={})},
    "letters": {"application/json": _ref("Letters")},
    "schedule": {
        "application/json": _object({"type": _TEXT}, cron=_TEXT, every={"type": "number"}, at=_TIME, timezone=_TEXT, paused=_FLAG)
    },
    "wish": {
        "application/json": _object({"jobType": _TEXT}, payload=_MAP, idempotencyKey=_TEXT) | {"additionalProperties": False},
    },
}

SCHEMAS: dict[str, Schema] = {
    "Problem": _object(
        {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
        errors={"type": "array", "items": _object({"pointer": _TEXT, "detail": _TEXT}, index=_COUNT)},
    ),
    "Receipt": _object({"id": _ID, "type": _TEXT, "status": _STATUS, "queue": _TEXT, "priority": _PRIORITY}),
    "BulkReceipt": _object({"ids": _IDS, "count": _COUNT}),
    "JobPage": _object(
        {"jobs": {"type": "array", "items": _ref("JobView")}, "next_cursor": {"type": ["string", "null"]}, "partial": _FLAG}
    ),
    "JobStatus": _object({"id": _ID, "type": _TEXT, "status": _STATUS, "attempts": _COUNT, "failures": _COUNT, "max_attempts": _COUNT}),
    "Effects": _object({"id": _ID, "effects": _MAPS}),
    "Artifacts": _object({"id": _ID, "artifacts": _MAPS}),
    "Attempts": _object({"id": _ID, "attempts": {"type": "array", "items": _ref("AttemptView")}}),
    "Why": _object({"id": _ID, "status": _STATUS, "reason": _TEXT, "why": _TEXT}),
    "Replayed": _object({"matched": _COUNT, "replayed": _COUNT, "ids": _IDS, "more": _FLAG, "dry_run": _FLAG}),
    "Purged": _object({"matched": _COUNT, "purged": _COUNT, "ids": _IDS, "more": _FLAG, "dry_run": _FLAG}),
    "Stats": _object({"by_status": _MAP, "by_queue": _MAP, "by_type": _MAP, "workers": _COUNT}),
    "Workers": _object({"workers": _MAPS}),
    "JobTypes": _object(
        {
            "types": {
                "type": "array",
                "items": _object(
                    {
                        "type": _TEXT,
                        "aliases": {"type": "array", "items": _TEXT},
                        "schema": _MAP,
                        "defaults": _MAP,
                        "published_at": _TIME,
                        "workers": _COUNT,
                    }
                ),
            }
        }
    ),
    "Queues": _object({"queues": {"type": "array", "items": _object({"name": _TEXT, "paused": _FLAG, "counts": _MAP, "workers": _COUNT})}}),
    "QueueState": _object({"name": _TEXT, "paused": _FLAG}),
    "Schedule": _object({"name": _TEXT, "type": _TEXT, "paused": _FLAG, "next_runs": {"type": "array", "items": _TIME}}),
    "Schedules": _object({"schedules": {"type": "array", "items": _ref("Schedule")}, "next_cursor": {"type": ["string", "null"]}}),
    "Probe": _object({"status": _TEXT}),
    "OpenApi": _MAP,
    "DialectReceipt": _object({"jobId": _ID, "status": {"type": "string", "enum": ["QUEUED", "PROCESSING", "COMPLETED", "FAILED"]}}),
    "DialectStatus": _object({"jobId": _ID, "status": _TEXT, "retries": _COUNT, "createdAt": _TIME, "updatedAt": _TIME}),
}


def _ok(text: str, schema: str) -> Answers:
    return ((200, text, schema),)


def _page(filters: tuple[str, ...]) -> tuple[Answers, tuple[int, ...], str, tuple[Schema, ...]]:
    return _ok("a page", "JobPage"), (400, 422, 503), "", _query(filters)


def _some_schedules() -> tuple[Answers, tuple[int, ...], str, tuple[Schema, ...]]:
    return _ok("a page", "Schedules"), (400, 422, 503), "", _query(("limit", "cursor"))


_op = Operation
_TAKEN = (202, "committed", "Receipt")
_ALL_TAKEN = (202, "committed", "BulkReceipt")
_KNOWN = (200, "its idempotency key was known: the first job", "JobView")
_UNCHANGED = (304, "it is as you know it", "")
_SCHEDULE_PUT = ((200, "replaced", "Schedule"), (201, "made", "Schedule"))
_LETTERS_PROBLEMS = (400, 413, 415, 422, 503)

OPERATIONS: tuple[Operation, ...] = (
    _op("POST", "/jobs", "submitJob", "jobs", "Submit one job", (_TAKEN, _KNOWN), _SUBMIT, "job", (_KEY, _PREFER)),
    _op("POST", "/jobs/bulk", "submitJobs", "jobs", "Submit many jobs, all or nothing", (_ALL_TAKEN,), _SUBMIT, "jobs"),
    _op("GET", "/jobs", "listJobs", "jobs", "List jobs, newest first", *_page(listing.FILTERS)),
    _op("GET", "/jobs/{id}", "getJob", "jobs", "Look at a job", (*_ok("the job", "JobView"), _UNCHANGED), _LOOK, "", (_TAG, _PREFER)),
    _op("GET", "/jobs/{id}/status", "getJobStatus", "jobs", "Look at a job, in short", _ok("the short form", "JobStatus"), _LOOK),
    _op("GET", "/jobs/{id}/attempts", "getAttempts", "jobs", "Every attempt of a job", _ok("oldest first", "Attempts"), _LOOK),
    _op("GET", "/jobs/{id}/why", "getWhy", "jobs", "Why it is not running", _ok("one sentence", "Why"), _LOOK),
    _op("GET", "/jobs/{id}/artifacts", "listArtifacts", "jobs", "The files of a job", _ok("by name", "Artifacts"), _LOOK),
    _op(
        "GET", "/jobs/{id}/artifacts/{name}", "getArtifact", "jobs", "One file, or a part of it",
        (*_ok("the file", "application/octet-stream:"), (206, "the part that Range asks for", "application/octet-stream:"), _UNCHANGED),
        (404, 416, 503), "", (_TAG,),
    ),
    _op("GET", "/jobs/{id}/effects", "listEffects", "jobs", "What ctx.once has reserved", _ok("oldest first", "Effects"), _LOOK),
    _op(
        "POST", "/jobs/{id}/effects", "decideEffect", "jobs", "Say what became of an uncertain effect",
        _ok("all of them", "Effects"), (400, 404, 409, 413, 415, 422, 503), "effect",
    ),
    _op("POST", "/jobs/{id}/retry", "retryJob", "jobs", "Run it again", ((202, "it is PENDING", "JobView"),), (404, 409, 503)),
    _op(
        "POST", "/jobs/{id}/cancel", "cancelJob", "jobs", "Stop it",
        ((200, "it is CANCELLED", "JobView"), (202, "it runs, and has been asked to stop", "JobView")), (404, 409, 503),
    ),
    _op("GET", "/jobs/dead", "listDead", "dlq", "List dead letters", *_page(dlq_api.FILTERS)),
    _op("POST", "/dlq/replay", "replayDead", "dlq", "Run dead jobs again", _ok("done", "Replayed"), _LETTERS_PROBLEMS, "letters"),
    _op("POST", "/dlq/purge", "purgeDead", "dlq", "Delete dead jobs", _ok("done", "Purged"), _LETTERS_PROBLEMS, "letters"),
    _op("GET", "/jobs/stats", "getStats", "whole", "Counts, lag, latencies", _ok("numbers", "Stats"), (503,)),
    _op("GET", "/job-types", "listTypes", "whole", "Job types and who runs them", _ok("every known type", "JobTypes"), (503,)),
    _op("GET", "/workers", "listWorkers", "whole", "Live workers", _ok("who lives", "Workers"), (503,)),
    _op("GET", "/queues", "listQueues", "queues", "Queues and what is in them", _ok("every queue", "Queues"), (503,)),
    _op("POST", "/queues/{name}/pause", "pauseQueue", "queues", "Start none of its jobs", _ok("it is paused", "QueueState"), _LOOK),
    _op("POST", "/queues/{name}/resume", "resumeQueue", "queues", "Start its jobs again", _ok("it goes on", "QueueState"), _LOOK),
    _op("GET", "/schedules", "listSchedules", "schedules", "Schedules by name", *_some_schedules()),
    _op("GET", "/schedules/{name}", "getSchedule", "schedules", "One schedule", _ok("it, and its next runs", "Schedule"), _LOOK),
    _op("PUT", "/schedules/{name}", "putSchedule", "schedules", "Make or replace it", _SCHEDULE_PUT, (400, 413, 415, 422, 503), "schedule"),
    _op("DELETE", "/schedules/{name}", "deleteSchedule", "schedules", "Delete it; its jobs stay", ((204, "deleted", ""),), _LOOK),
    _op("POST", "/schedules/{name}/trigger", "triggerSchedule", "schedules", "Run it once now", (_TAKEN,), (404, 429, 503)),
    _op("POST", "/schedules/{name}/pause", "pauseSchedule", "schedules", "Let it make no jobs", _ok("it", "Schedule"), _LOOK),
    _op("POST", "/schedules/{name}/resume", "resumeSchedule", "schedules", "Let it make jobs again", _ok("it", "Schedule"), _LOOK),
    _op("GET", "/events", "followEvents", "whole", "State changes as server-sent events", _ok("a stream", "text/event-stream:"), (503,)),
    _op("GET", "/livez", "isAlive", "probes", "Whether the process answers", _ok("it does", "Probe")),
    _op("GET", "/readyz", "isReady", "probes", "Whether jobs can be accepted", _ok("they can", "Probe"), (503,)),
    _op("GET", "/metrics", "getMetrics", "probes", "For Prometheus", _ok("metrics", "text/plain:")),
    _op("GET", "/openapi.json", "getOpenApi", "probes", "This document", _ok("OpenAPI 3.1", "OpenApi")),
    _op(
        "POST", "/submit-job", "submitJobInOtherWords", "dialect", "Submit one job, in other words",
        ((202, "committed", "DialectReceipt"), (200, "its idempotency key was known", "DialectReceipt")), _SUBMIT, "wish", (_KEY,),
    ),
    _op("GET", "/job-status/{id}", "getJobInOtherWords", "dialect", "Look at a job, in other words", _ok("it", "DialectStatus"), _LOOK),
)  # fmt: skip
