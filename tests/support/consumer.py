"""A real consumer inside the test's own process, with handlers of the test's own."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest

from chaos.proxy import Proxy, proxied
from consumer import registry
from consumer.registry import Registry
from consumer.runtime import ROLES, Consumer
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.ids import new_id
from shared.job_store import JobStore
from shared.jobs import Handler, HandlerFunction
from shared.lifecycle import Status
from shared.models import Letter, NewJob
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.make import raw

# Short, so that deaths are noticed within a test's patience; long against a busy machine.
SHORT = {"concurrency": 10, "lease_seconds": 3.0, "heartbeat_seconds": 0.5, "grace_seconds": 2.0}
SHORT_BLOCK_SECONDS = 0.1  # a stop waits for the read that is under way
AT_ONCE = b'{"kind":"fixed","base":0}'


@dataclass(eq=False)
class Running:
    """A consumer that runs, and the task that it runs in."""

    consumer: Consumer
    task: asyncio.Task[None]

    @property
    def name(self) -> str:
        """Its consumer name, empty while it has none."""
        return (self.consumer.worker and self.consumer.worker.worker_name) or ""

    async def stop(self) -> None:
        """Let it drain to its end."""
        self.consumer.stop()
        async with asyncio.timeout(20):
            await self.task


class Stage:
    """Where a test's jobs and consumers meet. Nothing may be left in Redis in the end, unless `leftovers` is set."""

    def __init__(self, settings: Settings, jobs: JobStore, database: Database, broker: Broker) -> None:
        self.settings = replace(settings, **SHORT)  # type: ignore[arg-type]
        self.jobs = jobs
        self.database = database
        self.broker = broker
        self.leftovers = False
        self._started: list[Running] = []
        self._wires = AsyncExitStack()

    async def start(
        self,
        handlers: Mapping[str, HandlerFunction] = MappingProxyType({}),
        *,
        roles: Sequence[str] = ROLES,
        modules: Sequence[str] = (),
        **changes: Any,
    ) -> Running:
        """Start a consumer with these handlers by type, and wait until it has a lease. `changes` are settings.

        Those of `modules` are there, too: what runs in a child process has to be importable.
        """
        settings = replace(self.settings, handlers=tuple(modules), **changes)
        known = {name: _handler(name, function) for name, function in sorted(handlers.items())}
        imported = registry.load(settings).handlers if modules else {}
        consumer = Consumer(settings, Registry(MappingProxyType({**imported, **known}), ()), roles)
        running = Running(consumer, asyncio.create_task(consumer.run()))
        self._started.append(running)
        if consumer.worker is not None:
            await eventually(lambda: running.task.done() or running.name, what="the first lease")
        return running

    async def wire(self, server_url: str) -> Proxy:
        """Return a way to that server that can break; it lasts until the consumers have ended."""
        return await self._wires.enter_async_context(proxied(server_url))

    async def submit(self, kind: str, **fields: Any) -> str:
        """Submit a job as the producer does, and return its id. Failures are retried at once unless `backoff` says otherwise."""
        [job_id] = await self.submit_many(1, kind, **fields)
        return job_id

    async def submit_many(self, count: int, kind: str, **fields: Any) -> list[str]:
        """Submit so many equal jobs, and return their ids."""
        fields = raw({"payload": b"{}", "backoff": AT_ONCE} | fields)
        new = [NewJob(id=new_id(), type=kind, **fields) for _ in range(count)]
        due = await self.jobs.submit(new)
        later = {job.id for job in due}
        await self.broker.publish((job.lane, job.id) for job in new if job.id not in later)
        await self.broker.delay(due)
        return [job.id for job in new]

    async def row(self, job_id: str) -> dict[str, Any]:
        """Return the job's row; JSON columns are decoded."""
        [row] = await self.database.fetch("SELECT *, status::text AS status, id::text AS id FROM jobs WHERE id = $1", job_id)
        return {name: json.loads(value) if isinstance(value, bytes) else value for name, value in row.items()}

    async def reaches(self, job_id: str, status: Status, within: float = 15.0) -> dict[str, Any]:
        """Wait until the job is in that state, and return its row."""

        async def there() -> dict[str, Any]:
            row = await self.row(job_id)
            assert row["status"] == status, row
            return row

        return await eventually(there, within, f"{job_id} in {status}")

    async def history(self, job_id: str) -> list[str]:
        """Return how the attempts that did not succeed ended, oldest first."""
        rows = await self.database.fetch("SELECT outcome FROM attempts WHERE job_id = $1 ORDER BY attempt", job_id)
        return [row[0] for row in rows]

    async def letters(self) -> list[dict[str, str]]:
        """Return the entries of the DLQ stream."""
        items = await self.broker.client.xrange(self.broker.keys.dlq)
        return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in items]

    async def letter_of(self, row: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the one letter about that job; it comes a moment after the row says FAILED."""

        async def there() -> Mapping[str, str]:
            letters = [letter for letter in await self.letters() if letter["id"] == row["id"]]
            assert len(letters) == 1, letters
            return letters[0]

        letter = await eventually(there, what="the letter")
        assert letter.keys() == {"id", "type", *Letter._fields[2:5], "when"}
        return letter

    async def add_entry(self, fields: Mapping[str, str | bytes], priority: str = "normal") -> str:
        """XADD by hand, as a stranger would."""
        entry_id = await self.broker.client.xadd(self.broker.keys.stream(priority), fields)
        return str(entry_id.decode())

    async def is_empty(self) -> bool:
        """Whether no stream, pending list or delayed set holds anything."""
        depths = await self.broker.depths()
        assert not any(count for name, count in depths.items() if name != "dlq"), depths
        return True

    async def end(self) -> None:
        """Stop what still runs, and check that nothing stays behind."""
        still = [running for running in self._started if not running.task.done()]
        names = {running.name for running in self._started}
        try:
            if still and not self.leftovers:
                await eventually(self.is_empty, what="empty streams")
        finally:
            for running in still:
                running.consumer.stop()
            async with asyncio.timeout(30):
                await asyncio.gather(*(running.task for running in self._started))
            await self._wires.aclose()
        if self._started and not self.leftovers:
            await self.is_empty()
            assert not names & await self.broker.consumers()
            assert await self.database.fetch("SELECT worker FROM leases WHERE dead_at IS NULL") == []


def _handler(name: str, function: HandlerFunction) -> Handler:
    return Handler(type=name, function=function, executor="async" if asyncio.iscoroutinefunction(function) else "thread")


@pytest.fixture
async def stage(
    settings: Settings,
    jobs: JobStore,
    database: Database,
    dispatch: DispatchStore,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stage]:
    """A stage of this test's own, on stores that have been in use: the rebuild of a very first start would add fresh jobs once more."""
    await dispatch.set_epoch(settings.stream, "in use")
    await broker.set_epoch("in use")
    monkeypatch.setattr("consumer.reader.BLOCK_SECONDS", SHORT_BLOCK_SECONDS)
    stage = Stage(settings, jobs, database, broker)
    try:
        yield stage
    finally:
        await stage.end()
