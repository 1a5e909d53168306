"""What GET /jobs/stats says is what a GROUP BY over the table would say, whatever happened to the jobs."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from consumer.janitor import Janitor
from producer.app import Producer
from shared.broker import Broker
from shared.database import Database, Databases
from shared.dispatch_store import DispatchStore
from shared.ids import new_id
from shared.job_store import JobStore
from shared.job_views import Counts, JobViews
from shared.keys import Keys
from shared.lease_store import LeaseStore
from shared.lifecycle import MOVES
from shared.models import Lease, NewJob
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.make import TYPES, open_lease

EVENTS = (*MOVES, "defer", "fold", "fold soon", "forget", "delete")
Step = tuple[str, list[int]]
steps = st.lists(
    st.tuples(st.sampled_from(EVENTS), st.lists(st.integers(0, 7), min_size=1, max_size=8, unique=True)), min_size=5, max_size=25
)


class Table:
    """Eight jobs of two types in two queues, and everything that may happen to them."""

    def __init__(self, database: Database, jobs: JobStore, janitor: Janitor, lease: Lease) -> None:
        self.database, self.jobs, self.janitor, self.lease = database, jobs, janitor, lease
        self.ids: list[str] = []

    async def fill(self) -> None:
        """Submit all."""
        types = [TYPES[0], "another.type"]
        new = [NewJob(id=new_id(), type=types[n % 2], queue=f"q{n % 3}", payload=Raw(b"{}"), delay=n % 2 * 1e-6) for n in range(8)]
        self.ids = [job.id for job in new]
        await self.jobs.submit(new)

    async def do(self, event: str, which: list[int]) -> None:
        """Try one move on some of the jobs, legal or not."""
        ids, lease = [self.ids[n] for n in which], self.lease
        rows = await self.database.fetch("SELECT id::text, attempts FROM jobs WHERE id = ANY($1::uuid[])", ids)
        fences = [(row["id"], row["attempts"]) for row in rows]
        if not fences:
            return
        match event:
            case "claim":
                await self.jobs.claim(ids, lease, [*TYPES, "another.type"])
            case "succeed":
                await self.jobs.succeed([(*fence, b"1") for fence in fences], lease.id)
            case "retry":
                await self.jobs.retry([(*fence, 0.0, "", "") for fence in fences], lease.id)
            case "snooze":
                await self.jobs.snooze([(*fence, 0.0) for fence in fences], lease.id)
            case "bury":
                await self.jobs.bury([(*fence, "r", "e", "") for fence in fences], lease.id)
            case "hand_back" | "abort":
                await getattr(self.jobs, event)(fences, lease.id)
            case _:
                await self._other(event, ids)

    async def _other(self, event: str, ids: list[str]) -> None:
        match event:
            case "reclaim":
                await self.database.fetch("UPDATE leases SET dead_at = now() WHERE id = $1", self.lease.id)
                await self.jobs.reclaim(ids, 2)
                await self.database.fetch("UPDATE leases SET dead_at = NULL WHERE id = $1", self.lease.id)
            case "expire":
                await self.database.fetch("UPDATE jobs SET expires_at = now() WHERE id = ANY($1::uuid[])", ids)
                await self.jobs.expire(ids)
            case "defer":
                await self.jobs.defer(ids, 0.0)
            case "fold" | "fold soon":
                await self.database.fetch(
                    "UPDATE job_counts SET at = at - $1::interval", timedelta(seconds=3600 if event == "fold" else 10)
                )
                await self.janitor.step()
            case "forget":
                await self.database.fetch("UPDATE jobs SET finished_at = finished_at - interval '99 days' WHERE id = ANY($1::uuid[])", ids)
                await self.janitor.step()
            case "delete":
                await self.database.fetch("DELETE FROM jobs WHERE id = $1", ids[0])
            case _:
                await getattr(self.jobs, event)(ids)

    async def truth(self) -> Counter[tuple[str, str, str]]:
        """Return the real numbers, by (group, name, status)."""
        found: Counter[tuple[str, str, str]] = Counter()
        for row in await self.database.fetch("SELECT queue, type, status::text, count(*) AS n FROM jobs GROUP BY 1, 2, 3"):
            for group, name in (("all", ""), ("queue", row["queue"]), ("type", row["type"])):
                found[group, name, row["status"]] += row["n"]
        return found


def flat(counts: Counts) -> Counter[tuple[str, str, str]]:
    """Return counts in the same form, without zeros."""
    groups = {"all": {"": counts.by_status}, "queue": counts.by_queue, "type": counts.by_type}
    rows = ((group, name, status, n) for group, names in groups.items() for name, by in names.items() for status, n in by.items())
    return Counter({(group, name, status): n for group, name, status, n in rows if n})


@pytest.fixture
def examples(settings: Settings) -> Settings:
    """The settings under a name that hypothesis's own does not hide."""
    return settings


@given(moves=steps)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_counts_are_those_of_the_table(moves: list[Step], examples: Settings) -> None:
    """Random moves of random batches, legal and illegal, with folding and forgetting in between."""
    asyncio.run(_play(moves, examples))


async def _play(moves: list[Step], stack: Settings) -> None:
    database, views = Database(stack.database_url, "test"), Databases(stack.database_url, "views", 1)
    leases, broker = LeaseStore(database), Broker(stack.redis_url, Keys(stack.stream), stack.group)
    table = Table(database, JobStore(database), Janitor(stack, DispatchStore(database), leases, broker), await open_lease(leases, stack))
    try:
        await table.fill()
        for event, which in moves:
            await table.do(event, which)
            assert flat(await JobViews(views).counts()) == await table.truth(), event
    finally:
        await database.close()
        await views.close()
        await broker.close()


async def test_the_route_says_the_same(examples: Settings, jobs: JobStore, leases: LeaseStore, database: Database, broker: Broker) -> None:
    """GET /jobs/stats of a real producer, after moves of every kind; Redis's side is in it too."""
    await broker.publish([("normal", new_id())])
    table = Table(database, jobs, Janitor(examples, DispatchStore(database), leases, broker), await open_lease(leases, examples))
    await table.fill()
    for n, event in enumerate(EVENTS):
        await table.do("claim", [n % 8])
        await table.do(event, [n % 8, (n + 3) % 8])
    producer = Producer(examples)
    running = asyncio.create_task(producer.run())
    async with aiohttp.ClientSession(f"http://{examples.host}:{examples.port}") as http:

        async def stats() -> dict[str, Any]:
            try:
                async with http.get("/jobs/stats") as answer:
                    return dict(await answer.json())
            except aiohttp.ClientError:
                return {}

        found = await eventually(stats)
    assert flat(msgspec.convert(found, Counts, strict=False)) == await table.truth()
    assert found["dispatch"]["lag"] == 1
    producer.stop()
    await running
