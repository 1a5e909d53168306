"""The way between a component and a store: refused, a black hole, slow, reset, answers dropped, cut in the middle of a message."""

from collections.abc import AsyncIterator, Callable
from random import Random

from chaos.faults.fault import EVERYONE, Hit, fault
from chaos.proxy import Proxy
from chaos.world import World

KIND = "network"
MARKERS = {"postgres": (b"Bind", b"E\x00\x00\x00\x09", b"S\x00\x00\x00\x04"), "redis": (b"EVALSHA", b"XREADGROUP", b"PING")}


def _wire(world: World, dice: Random) -> tuple[Proxy, str, str]:
    (group, store), wire = dice.choice(sorted(world.wires.items(), key=lambda item: item[0]))
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

    def drop(wire: Proxy, store: str) -> None:
        wire.drop_reply(dice.choice(MARKERS[store]), reset=dice.random() < 0.5)

    async for hit in _broken(world, dice, 2.0, drop):
        yield hit


@fault("network.cut", KIND)
async def cut(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Each connection breaks after so many bytes, in the middle of a message."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 3), lambda wire, _: wire.cut_after(dice.randint(1, 3000))):
        yield hit
