"""A broken way through the network counts when a connection has met it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.faults import FAULTS, MissedError, network
from chaos.faults.network import MARKERS
from chaos.proxy import proxied
from chaos.world import STORES

BROKEN = ("network.refuse", "network.black_hole", "network.slow", "network.reset", "network.cut", "network.reply")
TALK = b" ".join(marker for markers in MARKERS.values() for marker in markers)


class Echo(asyncio.Protocol):
    """Says what was said."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Say it."""
        self.transport.write(data)


@asynccontextmanager
async def way() -> AsyncIterator[tuple[Any, int]]:
    """A world with one way, and the port at which it begins."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    async with server, proxied(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as wire:
        members = [SimpleNamespace(part="producer", name=f"producer-{number}", pid=number) for number in (1, 2)]
        wires = {(member.name, store): wire for member in members for store in STORES}
        settings = SimpleNamespace(lease_seconds=1.0)
        world = SimpleNamespace(wires=wires, members=members, settings=settings)
        yield world, int(wire.url.rpartition(":")[2])
        wire.reset()
        await asyncio.sleep(0.1)  # for both ends to see that


async def talk(port: int) -> None:
    """Say something again and again, on a new connection where the last one broke."""
    while True:
        with suppress(OSError):
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)
            while not transport.is_closing():
                transport.write(TALK)
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", BROKEN)
async def test_nobody_met_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was connected, nobody said anything."""
    monkeypatch.setattr(network, "HIT_SECONDS", 0.2)
    monkeypatch.setattr(network, "REPLY_SECONDS", 0.2)
    async with way() as (world, _):
        with pytest.raises(MissedError):
            await FAULTS[name].deed(world, Random(1)).__aenter__()


@pytest.mark.parametrize("name", BROKEN)
async def test_somebody_met_it(name: str) -> None:
    """It is counted by the way."""
    async with way() as (world, port):
        talking = asyncio.create_task(talk(port))
        await asyncio.sleep(0.1)
        async with FAULTS[name].deed(world, Random(1)) as hit:
            assert hit.aim in {"producer to redis", "producer to postgres"}
            assert hit.aim in network.AIMS
        talking.cancel()


def test_one_way_of_several_or_all_of_them() -> None:
    """Whoever holds a lease is a victim where its way to PostgreSQL is broken; what is said of a kind is true of all of it."""
    members = [SimpleNamespace(part="consumer", name=f"consumer-{number}", pid=number) for number in (1, 2)]
    wires = {(member.name, store): f"{member.name} {store}" for member in members for store in STORES}
    world: Any = SimpleNamespace(wires=wires, members=members)
    found = {(way.detail, way.victims, len(way.wires)) for way in (network._way(world, Random(seed)) for seed in range(100))}
    assert found == {
        *(("consumer to postgres", (1, 2), 2), ("consumer-1 to postgres", (1,), 1), ("consumer-2 to postgres", (2,), 1)),
        *(("consumer to redis", (), 2), ("consumer-1 to redis", (), 1), ("consumer-2 to redis", (), 1)),
    }


async def test_all_ways_are_counted_from_nought() -> None:
    """Three kinds of processes, two stores."""
    assert len({*network.AIMS}) == 6
