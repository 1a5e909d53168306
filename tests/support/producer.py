"""A real producer in this process and a small client for it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from producer.app import Producer
from shared.settings import Settings
from tests.support.eventually import eventually

PROBLEM = "application/problem+json"
TRACES = ("Traceback", 'File "', ".py", "asyncpg", "msgspec")


@dataclass(frozen=True)
class Answer:
    """What came back. `json` is None when the body is no JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    def problem(self, status: int) -> dict[str, Any]:
        """Return the problem document, which has to be a complete one of that status."""
        assert self.status == status, self
        assert self.headers["Content-Type"].partition(";")[0] == PROBLEM, self
        assert {"type", "title", "status", "detail"} <= self.json.keys() <= {"type", "title", "status", "detail", "errors"}, self
        assert self.json["status"] == status
        assert self.json["detail"], self
        assert all(error.keys() >= {"pointer", "detail"} for error in self.json.get("errors", ())), self
        assert not any(trace in self.body.decode() for trace in TRACES), self
        document: dict[str, Any] = self.json
        return document

    def pointers(self, status: int = 422) -> list[str]:
        """Return where the errors are, of a problem of that status."""
        return [error["pointer"] for error in self.problem(status).get("errors", ())]


class Api:
    """A client: every call reads the whole answer."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request; `options` are aiohttp's."""
        async with self.session.request(method, path, **options) as response:
            body = await response.read()
            try:
                value = json.loads(body)
            except ValueError:
                value = None
            return Answer(response.status, response.headers, body, value)

    async def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """POST; `body` is sent as JSON unless it is bytes, which are sent as they are (and as JSON unless headers say otherwise)."""
        headers = {"Content-Type": "application/json"} | options.pop("headers", {})
        data = body if body is None or isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return await self.call("POST", path, data=io.BytesIO(data) if data and len(data) > 1_000_000 else data, headers=headers, **options)

    async def submit(self, **fields: Any) -> Answer:
        """POST /jobs of a job that does nothing, but for `fields`."""
        return await self.post("/jobs", {"type": "test.noop"} | fields)

    async def submitted(self, **fields: Any) -> str:
        """Return the id of a job that has just been accepted."""
        answer = await self.submit(**fields)
        assert answer.status == 202, answer
        job_id: str = answer.json["id"]
        return job_id

    async def job(self, job_id: str) -> dict[str, Any]:
        """GET a job that is there."""
        answer = await self.get(f"/jobs/{job_id}")
        assert answer.status == 200, answer
        job: dict[str, Any] = answer.json
        return job


@asynccontextmanager
async def client(settings: Settings, **options: Any) -> AsyncIterator[Api]:
    """Return a client with as many connections as it takes."""
    base = f"http://{settings.host}:{settings.port}"
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(limit=0), timeout=timeout, **options) as session:
        yield Api(session)


@asynccontextmanager
async def running(settings: Settings, *, ready: bool = True) -> AsyncIterator[Producer]:
    """Run a producer until the block ends; `ready`: the block begins when it has read the catalog."""
    producer = Producer(settings)
    task = asyncio.create_task(producer.run())
    try:
        await eventually(lambda: task.done() or _listens(settings), what="the producer's start")
        if ready:
            await eventually(lambda: task.done() or producer._catalog.loaded, what="the catalog")
        yield producer
    finally:
        producer.stop()
        await task


async def _listens(settings: Settings) -> bool:
    try:
        _, writer = await asyncio.open_connection(settings.host, settings.port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
