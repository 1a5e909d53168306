"""The way between a component and a store: refused, a black hole, slow, reset, answers dropped, cut in the middle of a message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.history import EVERYONE
from chaos.proxy import Proxy
from chaos.servers import until
from chaos.world import GROUPS, STORES, World

KIND = "network"
MARKERS = {"postgres": (b"__asyncpg_stmt", b"COMMIT"), "redis": (b"EVALSHA", b"XREADGROUP")}
AIMS = [f"{group} to {store}" for group in GROUPS for store in STORES]
HIT_SECONDS = 4.0  # for a connection to meet what was done to the way
REPLY_SECONDS = 4.0  # a reply that nobody has asked for by then is not waited for


def _victims(group: str, store: str) -> tuple[int, ...]:
    """Who has a lease and cannot say that it lives."""
    return (EVERYONE,) if store == "postgres" and group != "producer" else ()


def _wire(world: World, dice: Random) -> tuple[Proxy, str, str]:
    groups = {world.group_of(member.part) for member in world.members}
    (group, store), wire = dice.choice(sorted((key, wire) for key, wire in world.wires.items() if key[0] in groups))
    return wire, group, store


async def _broken(world: World, dice: Random, seconds: float, how: Callable[[Proxy], None]) -> AsyncIterator[Hit]:
    """It counts from when a connection has met it."""
    wire, group, store = _wire(world, dice)
    try:
        await _meets(wire, how)
        yield Hit(seconds, _victims(group, store), f"{group} to {store}", f"{group} to {store}")
    finally:
        wire.heal()


async def _meets(wire: Proxy, how: Callable[[Proxy], None]) -> None:
    """Break it, and return when that has hit a connection."""
    before = wire.hits
    how(wire)

    async def met() -> bool:
        return wire.hits > before

    try:
        await until(met, HIT_SECONDS, "a connection")
    except TimeoutError:
        raise MissedError("no connection met it") from None


@fault("network.refuse", KIND)
async def refused(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Every connection is refused, open ones are cut."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 5), lambda wire: wire.refuse()):
        yield hit


@fault("network.black_hole", KIND)
async def black_hole(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Nothing passes, nothing says so."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 8), lambda wire: wire.black_hole()):
        yield hit


@fault("network.slow", KIND)
async def slow(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Every packet takes up to half a second."""
    async for hit in _broken(world, dice, dice.uniform(1, 5), lambda wire: wire.delay(dice.uniform(0.05, 0.5))):
        yield hit


@fault("network.reset", KIND)
async def reset(world: World, dice: Random) -> AsyncIterator[Hit]:
    """All open connections break at one moment."""
    async for hit in _broken(world, dice, 0.0, lambda wire: wire.reset()):
        yield hit


@fault("network.reply", KIND)
async def reply_dropped(world: World, dice: Random) -> AsyncIterator[Hit]:
    """The server does what it is asked, and its answer never comes."""
    wire, group, store = _wire(world, dice)
    marker = dice.choice(MARKERS[store])
    wire.drop_reply(marker, reset=dice.random() < 0.5)
    try:
        async with asyncio.timeout(REPLY_SECONDS):
            await wire.reply_dropped.wait()
    except TimeoutError:
        raise MissedError(f"{group} sent no {marker.decode()} to {store}") from None
    else:
        yield Hit(dice.uniform(0, 3), _victims(group, store), f"{group} to {store}, {marker.decode()}", f"{group} to {store}")
    finally:
        wire.heal()


@fault("network.cut", KIND)
async def cut(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Each connection breaks after so many bytes, in the middle of a message."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 3), lambda wire: wire.cut_after(dice.randint(1, 3000))):
        yield hit
