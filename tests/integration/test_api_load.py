"""Many requests at once: group commit, the bounded queue, the backlog's limit, connections, shutdown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

import producer.app
import producer.backlog
from producer.app import Producer
from shared import probe
from shared.broker import Broker
from shared.database import Database
from shared.lease_store import LeaseStore
from shared.settings import Settings
from tests.integration.test_api_bulk import stored
from tests.support.eventually import eventually
from tests.support.make import open_lease
from tests.support.producer import Api, client, running
from tests.support.raw_http import exchange, open_wire, request

JSON = "Content-Type: application/json"


@asynccontextmanager
async def inserts_blocked(database: Database) -> AsyncIterator[None]:
    """Somebody else has locked the table: inserts wait until the block ends."""
    async with database.transaction() as transaction:
        await transaction.fetch("LOCK TABLE jobs IN SHARE MODE")
        yield


def waiting(process: Producer, count: int) -> bool:
    """Whether so many jobs wait for their commit."""
    return process._submitter._waiting == count


async def test_requests_at_one_moment_share_few_inserts(api: Api, database: Database) -> None:
    """While one insert is on its way the others gather: 200 posts are a handful of statements, and all are committed."""
    with probe.watch("inserting") as inserts, probe.watch("publishing") as publishes:
        answers = await asyncio.gather(*(api.submit() for _ in range(200)))
        await eventually(lambda: sum(map(len, publishes)) == 200)
    assert {answer.status for answer in answers} == {202}
    assert sum(map(len, inserts)) == 200
    assert len(inserts) <= 40
    assert len(publishes) <= 40
    assert await database.fetch_value("SELECT count(*) FROM jobs") == len({answer.json["id"] for answer in answers}) == 200


async def test_what_gathers_during_a_slow_commit_is_one_insert(api: Api, producer: Producer, database: Database) -> None:
    """However many they are: one statement when the way is free."""
    with probe.watch("inserting") as inserts:
        async with inserts_blocked(database):
            first = asyncio.create_task(api.submit())
            await eventually(lambda: inserts)
            others = [asyncio.create_task(api.submit()) for _ in range(200)]
            await eventually(lambda: waiting(producer, 201))
        assert {(await task).status for task in (first, *others)} == {202}
    assert [len(jobs) for jobs in inserts] == [1, 200]


async def test_a_full_queue_says_so(settings: Settings, database: Database, broker: Broker, catalog: None) -> None:
    """503 with Retry-After at once for what exceeds it; those that wait are accepted when PostgreSQL goes on."""
    del broker, catalog
    small = replace(settings, submit_queue=10)
    async with running(small) as process, client(small) as api:
        async with inserts_blocked(database):
            accepted = [asyncio.create_task(api.submit()) for _ in range(10)]
            await eventually(lambda: waiting(process, 10))
            refused = await api.submit()
            assert "wait for their commit" in refused.problem(503)["detail"]
            assert refused.headers["Retry-After"] == "1"
            (await api.post("/jobs/bulk", [{"type": "test.noop"}])).problem(503)
        assert {(await task).status for task in accepted} == {202}
        large = await api.post("/jobs/bulk", [{"type": "test.noop"}] * 50)
        assert large.status == 202, "a request larger than the queue must not be refused for ever"


async def test_a_long_backlog_refuses_more(
    settings: Settings, broker: Broker, catalog: None, leases: LeaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 with Retry-After from the limit on, for single jobs and bulk; accepted again when workers have caught up."""
    del catalog
    monkeypatch.setattr(producer.backlog, "REFRESH_SECONDS", 0.1)
    limited = replace(settings, max_backlog=5)
    async with running(limited) as process, client(limited) as api:
        for _ in range(5):
            await api.submitted()
        await eventually(lambda: _is_known(process, 5))
        for refused in (await api.submit(), await api.post("/jobs/bulk", [{"type": "test.noop"}])):
            assert "the limit is 5" in refused.problem(429)["detail"]
            assert int(refused.headers["Retry-After"]) >= 1
        assert (await api.get("/readyz")).status == 200
        lease = await open_lease(leases, settings)
        assert len(await broker.take(lease.worker, 3)) == 3
        await eventually(lambda: _is_known(process, 2))
        assert (await api.submit()).status == 202


def _is_known(process: Producer, count: int) -> bool:
    return process._backlog._count == count


async def test_without_a_limit_nothing_is_counted(api: Api, producer: Producer) -> None:
    """The default: no limit, no work for it."""
    await api.post("/jobs/bulk", [{"type": "test.noop"}] * 100)
    assert producer._backlog._count == 0
    assert (await api.submit()).status == 202


async def test_too_many_connections_are_turned_away(
    settings: Settings, broker: Broker, catalog: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open goes on being served; a new one is closed at once, and let in when there is room."""
    del broker, catalog
    monkeypatch.setattr(producer.app, "MOST_CONNECTIONS", 5)
    async with running(settings) as process:
        server = process._catalog  # the producer itself is up: only now are connections counted
        assert server.loaded
        wires = [await open_wire(settings.port) for _ in range(5)]
        for wire in wires:
            await wire.send(request("GET", "/livez"))
            assert (await wire.answer()).status == 200
        refused = await open_wire(settings.port)
        assert await refused.is_closed()
        await refused.close()
        await wires[0].send(request("GET", "/livez"))
        assert (await wires[0].answer()).status == 200
        for wire in wires:
            await wire.close()
        await eventually(lambda: _serves(settings))


async def _serves(settings: Settings) -> bool:
    try:
        return (await exchange(settings.port, request("GET", "/livez"))).status == 200
    except (OSError, EOFError):
        return False


async def test_two_producers_share_a_port(settings: Settings, broker: Broker, catalog: None) -> None:
    """SO_REUSEPORT: the kernel spreads connections over them; one may end without the other."""
    del broker, catalog
    async with running(settings):
        async with running(settings), client(settings) as api:
            answers = await asyncio.gather(*(api.submit() for _ in range(20)))
            assert {answer.status for answer in answers} == {202}
        async with client(settings) as api:
            assert await stored(api) == 20


async def test_requests_under_way_are_answered_at_the_end(settings: Settings, database: Database, broker: Broker, catalog: None) -> None:
    """A producer that is told to stop commits what it has, answers, and only then ends; new connections are refused."""
    del catalog
    async with client(settings) as api, running(settings) as process:
        async with inserts_blocked(database):
            under_way = [asyncio.create_task(api.submit()) for _ in range(20)]
            await eventually(lambda: waiting(process, 20))
            process.stop()
            await eventually(lambda: _refuses(settings))
        assert {(await task).status for task in under_way} == {202}
    assert await database.fetch_value("SELECT count(*) FROM jobs") == 20
    assert (await broker.depths())["normal"] == 20


async def _refuses(settings: Settings) -> bool:
    try:
        wire = await open_wire(settings.port)
    except OSError:
        return True
    await wire.close()
    return False


async def test_a_kept_connection_is_closed_after_its_answer(settings: Settings, database: Database, broker: Broker, catalog: None) -> None:
    """A client that keeps its connection is not left waiting for a producer that has ended."""
    del broker, catalog
    async with running(settings) as process:
        wire = await open_wire(settings.port)
        async with inserts_blocked(database):
            await wire.send(request("POST", "/jobs", JSON, body=b'{"type": "test.noop"}'))
            await eventually(lambda: waiting(process, 1))
            process.stop()
            await eventually(lambda: _refuses(settings))
        assert (await wire.answer()).status == 202
        assert await wire.is_closed()
        await wire.close()
