"""The routes under /jobs: submit, look, list, retry, cancel."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web

from producer import listing, requests
from producer.accepted import accepted
from producer.backlog import Backlog
from producer.body import job_items, json_body
from producer.catalog import Catalog
from producer.live import Live
from producer.prefer import PREFER
from producer.problems import ProblemError, not_found
from producer.publisher import Publisher
from producer.submit import KeyReusedError, Submitter
from shared.broker import Broker
from shared.errors import BrokerUnavailableError
from shared.ids import parse_id
from shared.job_store import JobStore
from shared.job_views import JobView, JobViews
from shared.lifecycle import Status
from shared.log import get_log
from shared.models import NewJob

log = get_log()

MOST_BULK_JOBS = 10_000
MOST_ERRORS = 100
IDEMPOTENCY_KEY = "Idempotency-Key"
_encode = msgspec.json.encode


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return `value` as JSON."""
    return web.Response(body=_encode(value), status=status, headers=headers, content_type="application/json")


class JobsApi:
    """Handlers of the job routes."""

    def __init__(
        self,
        catalog: Catalog,
        submitter: Submitter,
        publisher: Publisher,
        jobs: JobStore,
        views: JobViews,
        broker: Broker,
        backlog: Backlog,
        live: Live,
    ) -> None:
        self._catalog = catalog
        self._submitter = submitter
        self._publisher = publisher
        self._jobs = jobs
        self._views = views
        self._broker = broker
        self._backlog = backlog
        self._patience = live.patience
        self._news = live.announcer

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler), fixed paths first."""
        return (
            ("POST", "/jobs", self.submit),
            ("POST", "/jobs/bulk", self.submit_bulk),
            ("GET", "/jobs", self.page),
            ("GET", "/jobs/{id}", self.get),
            ("GET", "/jobs/{id}/status", self.status),
            ("GET", "/jobs/{id}/attempts", self.attempts),
            ("POST", "/jobs/{id}/retry", self.retry),
            ("POST", "/jobs/{id}/cancel", self.cancel),
        )

    # Submit

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """POST /jobs: one job. 202 when it is committed, 200 when its idempotency key was known."""
        self._backlog.check()
        body = await json_body(request)
        job = await self._parsed(body, request.headers.get(IDEMPOTENCY_KEY))
        replayed = await self._submitter.submit((job,))
        if PREFER in request.headers:
            waited = await self._patience.submitted(request, replayed.get(job.id, job.id), replayed=bool(replayed))
            if waited is not None:
                return waited
        if replayed:
            return await self._replayed(replayed[job.id])
        return accepted(request, job)

    async def submit_bulk(self, request: web.Request) -> web.Response:
        """POST /jobs/bulk: up to 10,000 jobs, all or nothing."""
        if IDEMPOTENCY_KEY in request.headers:
            raise ProblemError(400, "a bulk request takes no Idempotency-Key header; give each job its idempotency_key")
        self._backlog.check()
        items = await job_items(request, MOST_BULK_JOBS)
        jobs = await self._parsed_all(items)
        replayed = await self._submit_all(jobs) if jobs else {}
        ids = [replayed.get(job.id, job.id) for job in jobs]
        return answer({"ids": ids, "count": len(ids)}, 202)

    async def take(self, body: bytes, key: str | None = None) -> tuple[NewJob, str]:
        """Submit the job of `body` for who answers in words of its own; return it, and the id of the job that stands for it."""
        self._backlog.check()
        job = await self._parsed(body, key)
        return job, (await self._submitter.submit((job,))).get(job.id, job.id)

    async def _submit_all(self, jobs: Sequence[NewJob]) -> dict[str, str]:
        try:
            return await self._submitter.submit(jobs)
        except KeyReusedError as error:
            used = [index for index, job in enumerate(jobs) if job.idempotency_key == error.key]
            places = [{"pointer": f"/{index}/idempotency_key", "detail": error.detail, "index": index} for index in used]
            raise ProblemError(422, f"{error.detail}; nothing was stored", errors=_most_useful(places)) from error

    async def _parsed(self, body: bytes, key: str | None = None, *, since: float | None = None) -> NewJob:
        """Parse one job; for an unknown type the catalog is read anew, once after `since` (default: now)."""
        try:
            return requests.parse(body, self._catalog, key)
        except ProblemError as problem:
            if not _is_unknown_type(problem):
                raise
        await self._catalog.refresh_for(requests.type_of(body), time.monotonic() if since is None else since)
        return requests.parse(body, self._catalog, key)

    async def _parsed_all(self, items: Sequence[bytes]) -> list[NewJob]:
        jobs: list[NewJob] = []
        errors: list[dict[str, Any]] = []
        began = time.monotonic()
        for index, item in enumerate(items):
            if index % 200 == 199:
                await asyncio.sleep(0)  # others are served in between
            try:
                jobs.append(await self._parsed(item, since=began))
            except ProblemError as problem:
                if problem.status == 503:
                    raise
                found = problem.errors or ({"pointer": "", "detail": problem.detail},)
                errors += [{"pointer": f"/{index}{error['pointer']}", "detail": error["detail"], "index": index} for error in found]
        if errors:
            bad = len({error["index"] for error in errors})
            raise ProblemError(422, f"{bad} of {len(items)} jobs are invalid; nothing was stored", errors=_most_useful(errors))
        return jobs

    async def _replayed(self, job_id: str) -> web.Response:
        view = await self._views.get(job_id)
        body: Any = view or {"id": job_id}
        return answer(body, 200, {"Idempotent-Replayed": "true", hdrs.LOCATION: f"/jobs/{job_id}"})

    # Look

    async def get(self, request: web.Request) -> web.Response:
        """GET /jobs/{id}."""
        view, applied = await self._patience.see(request, await self._found(request))
        tag = f'"{view.attempts}-{int(view.updated_at.timestamp() * 1e6):x}"'
        known = request.headers.get(hdrs.IF_NONE_MATCH, "")
        if tag in known or known == "*":
            return web.Response(status=304, headers=applied | {hdrs.ETAG: tag})
        return answer(view, headers=applied | {hdrs.ETAG: tag})

    async def status(self, request: web.Request) -> web.Response:
        """GET /jobs/{id}/status: the short form."""
        view = await self._found(request)
        names = (
            "id",
            "type",
            "status",
            "attempts",
            "failures",
            "max_attempts",
            "reason",
            "error",
            "run_at",
            "updated_at",
        )
        return answer({name: getattr(view, name) for name in names})

    async def attempts(self, request: web.Request) -> web.Response:
        """GET /jobs/{id}/attempts."""
        view = await self._found(request)
        return answer({"id": view.id, "attempts": await self._views.attempts(view.id)})

    async def page(self, request: web.Request) -> web.Response:
        """GET /jobs."""
        return answer(listing.page_body(await self._views.page(*listing.wanted(request.query))))

    async def _found(self, request: web.Request) -> JobView:
        job_id = job_id_of(request)
        view = await self._views.get(job_id)
        if view is None:
            raise not_found(f"job {job_id}")
        return view

    # Act

    async def retry(self, request: web.Request) -> web.Response:
        """POST /jobs/{id}/retry: FAILED or CANCELLED -> PENDING."""
        job_id = job_id_of(request)
        replayed = await self._jobs.replay([job_id])
        if not replayed:
            view = await self._found(request)
            raise ProblemError(409, f"job {job_id} is {view.status}; only FAILED and CANCELLED jobs can be retried")
        [job] = replayed
        self._publisher.put([(job.lane, job.id)])
        self._news.put(Status.PENDING, [job.id])
        if job.was_dead:
            await self._forget_letter(job.id, job.entry_id)
        return answer(await self._found(request), 202, {hdrs.LOCATION: f"/jobs/{job_id}"})

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /jobs/{id}/cancel: 200 when it is cancelled, 202 when it is running and has been asked to stop."""
        job_id = job_id_of(request)
        for _ in range(3):  # it may begin to run, or go back to waiting, between two looks
            if await self._jobs.cancel([job_id]):
                self._news.put(Status.CANCELLED, [job_id])
                await self._stop_waiting(job_id)
                return answer(await self._found(request))
            if await self._jobs.request_cancel(job_id):
                return answer(await self._found(request), 202)
        view = await self._found(request)
        if view.status == Status.CANCELLED:
            return answer(view)
        raise ProblemError(409, f"job {job_id} is {view.status} and cannot be cancelled")

    async def _stop_waiting(self, job_id: str) -> None:
        """The worker that meets a cancelled job's entry drops it; in the ZSET it could lie for an hour until then."""
        try:
            await self._broker.undelay([job_id])
        except BrokerUnavailableError as error:
            log.warning("delay_not_removed", job_id=job_id, error=str(error))

    async def _forget_letter(self, job_id: str, entry_id: str | None) -> None:
        try:
            await self._broker.letters.forget([entry_id] if entry_id else await self._broker.letters.newest_places({job_id}))
        except BrokerUnavailableError as error:
            log.warning("letter_not_removed", job_id=job_id, error=str(error))


def job_id_of(request: web.Request) -> str:
    """Return the id in the path. Raises ProblemError (404) when it is none."""
    text = request.match_info["id"]
    job_id = parse_id(text)
    if job_id is None:
        raise ProblemError(404, f"{text[:100]!r} is no job id: a UUID in 36 characters")
    return job_id


def _is_unknown_type(problem: ProblemError) -> bool:
    return problem.status == 503 or any(error["pointer"] == "/type" for error in problem.errors)


def _most_useful(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every bad index is named, and the first errors in full."""
    seen: set[int] = set()
    kept: list[dict[str, Any]] = []
    for error in errors:
        if len(kept) < MOST_ERRORS or error["index"] not in seen:
            kept.append(error)
        seen.add(error["index"])
    return kept
