"""The answer to POST /jobs, which is the same every time but for the id, the length and the date: one string instead of a dict of headers.

It stays inside aiohttp, which has parsed and bounded the request, keeps the connection and drains the socket; only the building of header
lines is skipped. See docs/adr/0013-prebuilt-response.md for what that is worth.
"""

import time
from email.utils import formatdate

import msgspec
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE

from shared.models import NewJob

_encode = msgspec.json.encode
_HEAD = f"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nServer: {SERVER_SOFTWARE}\r\nLocation: /jobs/"


def accepted(request: web.BaseRequest, job: NewJob) -> web.StreamResponse:
    """Return 202 with the job's receipt and its Location."""
    body = _encode(_receipt(job))
    if request.version != HttpVersion11 or not request.keep_alive:
        headers = {hdrs.LOCATION: f"/jobs/{job.id}", hdrs.CONTENT_TYPE: "application/json"}
        return web.Response(body=body, status=202, headers=headers)
    return _Prebuilt(f"{_HEAD}{job.id}\r\nContent-Length: {len(body)}\r\nDate: {_date()}\r\n\r\n".encode("ascii") + body)


def _receipt(job: NewJob) -> dict[str, str]:
    waits = bool(job.delay) or job.run_at is not None  # a past run_at is None
    return {"id": job.id, "type": job.type, "status": "SCHEDULED" if waits else "PENDING", "queue": job.queue, "priority": job.priority}


class _Prebuilt(web.StreamResponse):
    """Bytes that are the whole response to a request on an HTTP/1.1 connection that is kept."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(status=202)
        self._raw = raw

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self._req = request
        self._payload_writer = request._payload_writer  # noqa: SLF001 - a response's way to the socket
        self._keep_alive = True
        return self._payload_writer

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - the signature of aiohttp
        if self._payload_writer is not None and not self._eof_sent:
            self._eof_sent = True
            await self._payload_writer.write_eof(self._raw)


_second = 0
_formatted = ""


def _date() -> str:
    global _second, _formatted
    now = int(time.time())
    if now != _second:
        _second, _formatted = now, formatdate(now, usegmt=True)
    return _formatted
