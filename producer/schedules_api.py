"""The routes under /schedules: put, look, pause, resume, trigger, delete."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiohttp import hdrs, web

from producer import requests, schedule_requests
from producer.backlog import Backlog
from producer.body import json_body
from producer.catalog import Catalog
from producer.jobs_api import answer
from producer.problems import ProblemError, invalid, not_found
from producer.publisher import Publisher
from producer.schedule_view import view
from shared import metrics
from shared.database import DataError
from shared.job_template import template_of
from shared.schedule_store import Schedule, ScheduleStore, Seen

MOST_LISTED = 1000
DEFAULT_LISTED = 100


class SchedulesApi:
    """Handlers of the schedule routes."""

    def __init__(self, schedules: ScheduleStore, catalog: Catalog, publisher: Publisher, backlog: Backlog) -> None:
        self._schedules = schedules
        self._catalog = catalog
        self._publisher = publisher
        self._backlog = backlog

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (
            ("GET", "/schedules", self.page),
            ("GET", "/schedules/{name}", self.get),
            ("PUT", "/schedules/{name}", self.put),
            ("DELETE", "/schedules/{name}", self.delete),
            ("POST", "/schedules/{name}/trigger", self.trigger),
            ("POST", "/schedules/{name}/pause", self.pause),
            ("POST", "/schedules/{name}/resume", self.resume),
        )

    async def page(self, request: web.Request) -> web.Response:
        """GET /schedules, sorted by name."""
        after, limit = _page(request)
        views = await _views(await self._schedules.page(after, limit + 1))
        return answer({"schedules": views[:limit], "next_cursor": views[limit - 1]["name"] if len(views) > limit else None})

    async def get(self, request: web.Request) -> web.Response:
        """GET /schedules/{name}."""
        return await self._answer(_known_name(request))

    async def put(self, request: web.Request) -> web.Response:
        """PUT /schedules/{name}: 201 when it is new, 200 when it replaces one."""
        name = request.match_info["name"]
        if not schedule_requests.is_name(name):
            raise invalid("a schedule's name has 1 to 100 letters, digits, _ . - and does not begin with . or -", "/name")
        schedule, paused = await self._parsed(name, await json_body(request))
        try:
            created = await self._schedules.put(schedule, paused)
        except DataError as error:
            raise ProblemError(422, f"PostgreSQL cannot store this: {error}") from error
        except ValueError as error:
            raise invalid(f"invalid schedule: at {error}", "/at") from error
        return await self._answer(name, 201 if created else 200, {hdrs.LOCATION: f"/schedules/{name}"} if created else None)

    async def _parsed(self, name: str, body: bytes) -> tuple[Schedule, bool | None]:
        now = await self._schedules.now()
        wish = await asyncio.to_thread(schedule_requests.parse, body, now)  # a calendar may take its time
        await self._catalog.refresh_for(requests.type_of(wish.job), time.monotonic())
        template = template_of(requests.parse(wish.job, self._catalog))
        schedule = Schedule(name=name, timetable=wish.timetable, misfire=wish.misfire, overlap=wish.overlap, template=template)
        return schedule, wish.paused

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /schedules/{name}. The jobs that it has made stay."""
        name = _known_name(request)
        if not await self._schedules.delete(name):
            raise not_found(f"the schedule {name}")
        return web.Response(status=204)

    async def trigger(self, request: web.Request) -> web.Response:
        """POST /schedules/{name}/trigger: its job once, now, whatever its pause and overlap say."""
        name = _known_name(request)
        self._backlog.check()
        job = await self._schedules.trigger(name)
        if job is None:
            raise not_found(f"the schedule {name}")
        metrics.submitted.inc()
        self._publisher.put([(job.lane, job.id)])
        receipt = {"id": job.id, "type": job.type, "status": "PENDING", "queue": job.queue, "priority": job.priority, "schedule": name}
        return answer(receipt, 202, {hdrs.LOCATION: f"/jobs/{job.id}"})

    async def pause(self, request: web.Request) -> web.Response:
        """POST /schedules/{name}/pause."""
        return await self._set_paused(_known_name(request), paused=True)

    async def resume(self, request: web.Request) -> web.Response:
        """POST /schedules/{name}/resume: from the next tick on."""
        return await self._set_paused(_known_name(request), paused=False)

    async def _set_paused(self, name: str, *, paused: bool) -> web.Response:
        if not await self._schedules.set_paused(name, paused=paused):
            raise not_found(f"the schedule {name}")
        return await self._answer(name)

    async def _answer(self, name: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        views = await _views(await self._schedules.get(name))
        if not views:
            raise not_found(f"the schedule {name}")
        return answer(views[0], status, headers)


async def _views(seen: Seen) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: [view(stored, seen.now, seen.statuses) for stored in seen.schedules])


def _known_name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not schedule_requests.is_name(name):
        raise not_found(f"the schedule {name[:100]!r}")
    return name


def _page(request: web.Request) -> tuple[str, int]:
    if unknown := [name for name in request.query if name not in {"limit", "cursor"}]:
        raise invalid(f"unknown parameter {unknown[0][:50]!r}; known: limit, cursor")
    after, limit = request.query.get("cursor", ""), request.query.get("limit", str(DEFAULT_LISTED))
    if after and not schedule_requests.is_name(after):
        raise ProblemError(400, "the cursor is not one that this API has given out")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 9 and 1 <= int(limit) <= MOST_LISTED):
        raise invalid(f"limit must be from 1 to {MOST_LISTED}", "/limit")
    return after, int(limit)
