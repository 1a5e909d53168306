"""`Prefer: wait=N`: answers about a job that wait for its end, if the client would like that."""

from typing import Any

import msgspec
from aiohttp import hdrs, web

from producer.prefer import APPLIED, PREFER, preferred_wait
from producer.waiters import Waiters
from shared.errors import UnavailableError
from shared.job_views import JobView, JobViews
from shared.lifecycle import TERMINAL
from shared.log import get_log

log = get_log()


class Patience:
    """Waits on behalf of requests. A wait that cannot be had, because too many wait already, is left out as the RFC allows."""

    def __init__(self, waiters: Waiters, views: JobViews) -> None:
        self._waiters = waiters
        self._views = views

    async def see(self, request: web.Request, view: JobView) -> tuple[JobView, dict[str, str]]:
        """Return the job as it is when it is over or the client's patience is, and the header that says so."""
        seconds = preferred_wait(request.headers.getall(PREFER, ()))
        if seconds is None or (self._waiters.is_full and view.status not in TERMINAL):
            return view, {}
        if view.status not in TERMINAL:
            view = await self._wait(request, view, seconds)
        return view, {APPLIED: f"wait={seconds}"}

    async def submitted(self, request: web.Request, job_id: str, *, replayed: bool) -> web.Response | None:
        """Answer a submit: 200 when the job is over (or was known by its key), 202 when it is not. None: the client wants no wait."""
        if preferred_wait(request.headers.getall(PREFER)) is None:
            return None
        try:
            view = await self._views.get(job_id)
            if view is None:  # removed since
                return None
            view, applied = await self.see(request, view)
        except UnavailableError as error:  # it is committed: whoever hears of an error now would send it again
            log.warning("end_not_seen", job_id=job_id, error=str(error))
            return None
        headers = applied | {hdrs.LOCATION: f"/jobs/{job_id}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
        status = 200 if replayed or view.status in TERMINAL else 202
        return _answer(view, status, headers)

    async def _wait(self, request: web.Request, view: JobView, seconds: float) -> JobView:
        with self._waiters.waiting(view.id, lambda: request.transport is None) as waiter:
            view = await self._views.get(view.id) or view  # it may have ended before we began to wait
            if view.status not in TERMINAL:
                await waiter.wait(seconds)
                view = await self._views.get(view.id) or view
        return view


def _answer(value: Any, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, headers=headers, content_type="application/json")
