"""The same service in other words: POST /submit-job and GET /job-status/{id}, for clients that speak this dialect.

Jobs take the way of POST /jobs, and errors have the same format; only names differ.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from producer.body import json_body
from producer.decoding import decoded
from producer.jobs_api import IDEMPOTENCY_KEY, JobsApi, answer, job_id_of
from producer.problems import ProblemError, not_found
from shared.job_views import JobView, JobViews
from shared.lifecycle import Status

STATUS = {
    Status.SCHEDULED: "QUEUED",
    Status.PENDING: "QUEUED",
    Status.RETRYING: "QUEUED",
    Status.PROCESSING: "PROCESSING",
    Status.COMPLETED: "COMPLETED",
    Status.FAILED: "FAILED",
    Status.CANCELLED: "FAILED",  # this dialect has no other word for what ended without a result
}
_THEIR_POINTERS = {"/type": "/jobType", "/idempotency_key": "/idempotencyKey"}


class Wish(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The body of POST /submit-job. What the fields may be is decided where those of POST /jobs are."""

    job_type: msgspec.Raw
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    idempotency_key: msgspec.Raw = msgspec.Raw(b"")


_wish = msgspec.json.Decoder(Wish).decode


class Dialect:
    """Handlers of these routes."""

    def __init__(self, jobs: JobsApi, views: JobViews) -> None:
        self._jobs = jobs
        self._views = views

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return ("POST", "/submit-job", self.submit), ("GET", "/job-status/{id}", self.status)

    async def submit(self, request: web.Request) -> web.Response:
        """POST /submit-job: 202 when it is committed, 200 when its idempotency key was known."""
        wish = decoded(_wish, await json_body(request))
        try:
            job, job_id = await self._jobs.take(_in_our_words(wish), request.headers.get(IDEMPOTENCY_KEY))
        except ProblemError as problem:
            raise _in_their_words(problem) from problem
        headers = {"Location": f"/job-status/{job_id}"}
        if job_id == job.id:
            return answer({"jobId": job_id, "status": "QUEUED"}, 202, headers)
        view = await self._views.get(job_id)
        return answer({"jobId": job_id, "status": _status(view) if view else "QUEUED"}, 200, headers | {"Idempotent-Replayed": "true"})

    async def status(self, request: web.Request) -> web.Response:
        """GET /job-status/{id}."""
        job_id = job_id_of(request)
        view = await self._views.get(job_id)
        if view is None:
            raise not_found(f"job {job_id}")
        return answer(
            {
                "jobId": view.id,
                "status": _status(view),
                "retries": retries(view),
                "createdAt": view.created_at,
                "updatedAt": view.updated_at,
            }
        )


def retries(view: JobView) -> int:
    """How many times the job was, or will be, tried again because it had failed."""
    return view.failures if view.status == Status.RETRYING else max(0, min(view.failures, view.attempts - 1))


def _status(view: JobView) -> str:
    return STATUS[Status(view.status)]


def _in_our_words(wish: Wish) -> bytes:
    """Never longer than the body that was sent, which may have the size limit."""
    key = b',"idempotency_key":%b' % wish.idempotency_key if bytes(wish.idempotency_key) else b""
    return b'{"type":%b,"payload":%b%b}' % (wish.job_type, wish.payload, key)


def _in_their_words(problem: ProblemError) -> ProblemError:
    problem.errors = [error | {"pointer": _THEIR_POINTERS.get(error["pointer"], error["pointer"])} for error in problem.errors]
    return problem
