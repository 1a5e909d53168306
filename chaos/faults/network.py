"""The way between a component and a store: refused, a black hole, slow, reset, answers dropped, cut in the middle of a message."""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.history import EVERYONE
from chaos.proxy import Proxy
from chaos.world import World

KIND = "network"
MARKERS = {"postgres": (b"__asyncpg_stmt", b"COMMIT"), "redis": (b"EVALSHA", b"XREADGROUP")}
REPLY_SECONDS = 4.0  # a reply that nobody has asked for by then is not waited for


def _wire(world: World, dice: Random) -> tuple[Proxy, str, str]:
    groups = {world.group_of(member.part) for member in world.members}
    (group, store), wire = dice.choice(sorted((key, wire) for key, wire in world.wires.items() if key[0] in groups))
    return wire, group, store


async def _broken(world: World, dice: Random, seconds: float, how: Callable[[Proxy, str], None]) -> AsyncIterator[Hit]:
    wire, group, store = _wire(world, dice)
    how(wire, store)
    yield Hit(seconds, (EVERYONE,) if store == "postgres" else (), f"{group} to {store}")
    wire.heal()


@fault("network.refuse", KIND)
async def refused(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Every connection is refused, open ones are cut."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 5), lambda wire, _: wire.refuse()):
        yield hit


@fault("network.black_hole", KIND)
async def black_hole(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Nothing passes, nothing says so."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 8), lambda wire, _: wire.black_hole()):
        yield hit


@fault("network.slow", KIND)
async def slow(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Every packet takes up to half a second."""
    async for hit in _broken(world, dice, dice.uniform(1, 5), lambda wire, _: wire.delay(dice.uniform(0.05, 0.5))):
        yield hit


@fault("network.reset", KIND)
async def reset(world: World, dice: Random) -> AsyncIterator[Hit]:
    """All open connections break at one moment."""
    async for hit in _broken(world, dice, 0.0, lambda wire, _: wire.reset()):
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
        yield Hit(dice.uniform(0, 3), (EVERYONE,) if store == "postgres" else (), f"{group} to {store}, {marker.decode()}")
    finally:
        wire.heal()


@fault("network.cut", KIND)
async def cut(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Each connection breaks after so many bytes, in the middle of a message."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 3), lambda wire, _: wire.cut_after(dice.randint(1, 3000))):
        yield hit
