"""Faults of the two stores count when they have taken something away, ended or refused something."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.faults import FAULTS, MissedError
from chaos.faults import redis as redis_faults
from chaos.servers import Servers, until
from shared.broker import Broker
from shared.database import Database
from shared.errors import UnavailableError
from shared.keys import Keys
from shared.settings import Settings


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """A PostgreSQL and a Valkey of these tests' own."""
    with tempfile.TemporaryDirectory(prefix="millstream-test-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another account when we are root
        made = Servers(Path(folder))
        made.start()
        yield made
        made.stop()


@pytest.fixture
async def world(servers: Servers) -> AsyncIterator[Any]:
    """Nothing but the stores, empty."""
    settings = Settings()
    broker = Broker(servers.valkey.url, Keys(settings.stream), settings.group)
    database = Database(servers.postgres.url, "chaos")
    await broker.command("FLUSHALL")
    yield SimpleNamespace(broker=broker, database=database, settings=settings, servers=servers)
    await broker.close()
    await database.close()


REFUSED_BY = {"redis.memory": "maxmemory", "redis.disk": "MISCONF"}


@asynccontextmanager
async def again(write: Callable[[], Awaitable[Any]]) -> AsyncIterator[None]:
    """Write all the time, whatever comes of it."""

    async def writing() -> None:
        while True:
            with suppress(UnavailableError):
                await write()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(writing())
    yield
    task.cancel()


async def strike(world: Any, name: str) -> str:
    """Let it strike and mend it; return what it says of itself."""
    async with FAULTS[name].deed(world, Random(1)) as hit:
        return hit.detail


@pytest.mark.parametrize("name", ["redis.zset", "redis.stream", "redis.group", "redis.entries", "redis.note", "postgres.backends"])
async def test_nothing_was_there(world: Any, name: str) -> None:
    """Streams without a group, an empty server, no connections of ours."""
    for priority in ("low", "normal", "high"):
        stream = world.broker.keys.stream(priority)
        await world.broker.command("XADD", stream, "*", "a", "b")
        await world.broker.command("XTRIM", stream, "MAXLEN", 0)
        if name == "redis.stream":
            await world.broker.command("DEL", stream)
    with pytest.raises(MissedError):
        await strike(world, name)


@pytest.mark.parametrize("name", ["redis.zset", "redis.stream", "redis.group", "redis.entries", "redis.note", "redis.clients"])
async def test_something_was_there(world: Any, name: str) -> None:
    """And is gone."""
    keys = world.broker.keys
    await world.broker.ensure_groups()
    for _ in range(10):
        await world.broker.command("XADD", keys.stream("normal"), "*", "a", "b")
    await world.broker.command("ZADD", keys.delayed, 1, "a")
    await world.broker.command("SET", keys.clock, "0 a")
    await world.broker.command("XADD", keys.dlq, "*", "a", "b")
    other = Broker(world.servers.valkey.url, keys, "other")
    await other.ping()
    before = await _there(world, name, other)
    await strike(world, name)
    now = await _there(world, name, other)
    await other.close()
    assert now != before
    if name != "redis.clients":
        assert now < before


async def _there(world: Any, name: str, other: Broker) -> int:
    """How much there is of what this fault takes away; of a connection its number."""
    command, keys = world.broker.command, world.broker.keys
    streams = [keys.stream(priority) for priority in ("low", "normal", "high")]
    match name:
        case "redis.zset":
            return int(await command("ZCARD", keys.delayed))
        case "redis.stream":
            return int(await command("EXISTS", *streams, keys.dlq))
        case "redis.group":
            return sum([len(await command("XINFO", "GROUPS", stream)) for stream in streams])
        case "redis.entries":
            return int(await command("XLEN", streams[1]))
        case "redis.note":
            return int(await command("EXISTS", keys.clock))
    return int(await other.command("CLIENT", "ID"))


async def test_backends_were_ended(world: Any) -> None:
    """Some of ten."""
    ours = [Database(world.servers.postgres.url, "worker") for _ in range(10)]
    for database in ours:
        await database.fetch("SELECT 1")
    detail = await strike(world, "postgres.backends")
    await asyncio.gather(*(database.close() for database in ours), return_exceptions=True)
    assert detail.endswith(" of 10")
    assert 0 < int(detail.partition(" ")[0]) < 10


@pytest.mark.parametrize("name", ["redis.memory", "redis.disk"])
async def test_no_write_came(world: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was refused; and it is mended."""
    monkeypatch.setattr(redis_faults, "REFUSED_SECONDS", 0.5)
    with pytest.raises(MissedError):
        await strike(world, name)
    await world.broker.command("SET", "a", "b")


@pytest.mark.parametrize("name", ["redis.memory", "redis.disk"])
async def test_a_write_was_refused(world: Any, name: str) -> None:
    """By the server's own word, and by ours."""
    if name == "redis.disk" and not world.servers.disks["valkey"].own:
        pytest.skip("wants the right to mount a small disk")
    refused: list[str] = []

    async def write() -> None:
        try:
            await world.broker.command("SET", "a", "b" * 1000)
        except UnavailableError as error:
            refused.append(str(error))
            raise

    async def told() -> bool:
        return any(REFUSED_BY[name] in words for words in refused)

    async with again(write):
        await strike(world, name)
        await until(told, 10, "we have been told")  # the server counts before it answers
    assert await told(), refused

    async def taken() -> bool:
        with suppress(UnavailableError):
            await world.broker.command("SET", "a", "b")
            return True
        return False

    await until(taken, 10, "a write is taken again")


async def test_postgres_refuses_when_its_disk_is_full(world: Any) -> None:
    """It is written to until it does, and is there again afterwards."""
    if not world.servers.disks["postgres"].own:
        pytest.skip("wants the right to mount a small disk")
    async with FAULTS["postgres.disk"].deed(world, Random(1)):
        with pytest.raises(UnavailableError):
            await world.database.fetch("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000)) IS NULL")
    assert await world.database.fetch_value("SELECT 1") == 1


async def test_files_that_are_not_all_there_are_no_copy(world: Any) -> None:
    """As when they are written anew in that moment; what was copied whole can be put back."""
    await world.broker.command("SET", "a", "b")
    world.servers.save_valkey()
    [base] = (world.servers.valkey.data_dir / "appendonlydir").glob("*.base.*")
    kept = base.rename(base.with_suffix(".kept"))
    with pytest.raises(OSError, match="writing its files anew"):
        world.servers.save_valkey()
    kept.rename(base)
