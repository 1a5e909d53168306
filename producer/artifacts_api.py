"""The routes under /jobs/{id}/artifacts: what a job's files are, and the files themselves."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from producer.jobs_api import answer
from producer.problems import not_found
from producer.ranges import Span, is_unchanged, span_of
from shared.artifacts import Artifacts, Found
from shared.errors import ArtifactMissingError, ArtifactRefusedError, UnavailableError
from shared.ids import parse_id
from shared.job_views import JobViews
from shared.log import get_log

log = get_log()

# Files come from whoever may submit jobs: a browser shall keep them, never show them as pages of ours.
_HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    hdrs.CACHE_CONTROL: "private, no-cache",  # a repeated attempt overwrites
    hdrs.ACCEPT_RANGES: "bytes",
}


class ArtifactsApi:
    """Handlers of the artifact routes. Artifacts themselves are served without PostgreSQL."""

    def __init__(self, views: JobViews, artifacts: Artifacts) -> None:
        self._views = views
        self._artifacts = artifacts

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (
            ("GET", "/jobs/{id}/artifacts", self.list),
            ("GET", "/jobs/{id}/artifacts/{name}", self.get),
        )

    async def list(self, request: web.Request) -> web.Response:
        """GET /jobs/{id}/artifacts."""
        job_id = parse_id(request.match_info["id"])
        if job_id is None or await self._views.get(job_id) is None:
            raise not_found(f"job {request.match_info['id'][:100]}")
        found = await self._artifacts.list_async(job_id)
        return answer({"id": job_id, "artifacts": [msgspec.to_builtins(item) for item in found]})

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET /jobs/{id}/artifacts/{name}: the file, or a part of it; 304 when the client has it already."""
        job_id, found = await self._found(request)
        if is_unchanged(request, found):
            return web.Response(status=304, headers=_HARMLESS | _tag(found))
        span = span_of(request, found)
        response = web.StreamResponse(status=206 if span.is_part else 200, headers=_headers(found, span))
        response.content_length = span.end - span.start
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD and span.end > span.start:
            await self._send(request, response, job_id, found, span)
        return response

    async def _found(self, request: web.Request) -> tuple[str, Found]:
        job_id, name = request.match_info["id"], request.match_info["name"]
        try:
            return job_id, await self._artifacts.find_async(job_id, name)
        except (ArtifactMissingError, ArtifactRefusedError):
            raise not_found(f"artifact {name[:100]!a} of job {job_id[:100]!a}") from None

    async def _send(self, request: web.Request, response: web.StreamResponse, job_id: str, found: Found, span: Span) -> None:
        """A store that fails half-way can only be told by a connection that breaks before the last byte. A client may just go."""
        try:
            async for chunk in self._artifacts.chunks_async(job_id, found, span.start, span.end):
                await response.write(chunk)
        except ConnectionError:
            return
        except (ArtifactMissingError, UnavailableError) as error:
            log.warning("artifact_broken_off", job_id=job_id, name=found.artifact.name, error=str(error))
            response.force_close()
            if request.transport is not None:
                request.transport.abort()


def _headers(found: Found, span: Span) -> dict[str, str]:
    item = found.artifact
    headers = _HARMLESS | _tag(found)
    headers[hdrs.CONTENT_TYPE] = item.content_type
    headers[hdrs.CONTENT_DISPOSITION] = f"attachment; filename=\"{_ascii(item.name)}\"; filename*=UTF-8''{quote(item.name, safe='')}"
    headers[hdrs.LAST_MODIFIED] = found.modified_at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    if span.is_part:
        headers[hdrs.CONTENT_RANGE] = f"bytes {span.start}-{span.end - 1}/{item.bytes}"
    return headers


def _tag(found: Found) -> dict[str, str]:
    return {hdrs.ETAG: found.version} if found.version else {}


def _ascii(name: str) -> str:
    """For clients that do not know filename*. Safe names hold no quote and no backslash."""
    return name.encode("ascii", "replace").decode().replace("?", "_")
