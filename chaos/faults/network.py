"""The way between a component and a store: refused, a black hole, slow, reset, answers dropped, cut in the middle of a message.

That of one process, or of all of its kind: of one worker the others take over, and it may not know.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.member import Member
from chaos.proxy import Proxy
from chaos.servers import until
from chaos.shape import GROUPS, group_of
from chaos.world import STORES, World

KIND = "network"
MARKERS = {"postgres": (b"__asyncpg_stmt", b"COMMIT"), "redis": (b"EVALSHA", b"XREADGROUP")}
AIMS = [f"{group} to {store}" for group in GROUPS for store in STORES]
HIT_SECONDS = 4.0  # for a connection to meet what was done to the way
REPLY_SECONDS = 4.0  # a reply that nobody has asked for by then is not waited for
LONG_LEASES = 1.3


@dataclass(frozen=True)
class Way:
    """From these processes to a store."""

    group: str
    store: str
    members: Sequence[Member]
    wires: Sequence[Proxy]
    whole: bool  # all of the group

    @property
    def aim(self) -> str:
        """What it is counted by."""
        return f"{self.group} to {self.store}"

    @property
    def detail(self) -> str:
        """Whose way it is."""
        return self.aim if self.whole else f"{self.members[0].name} to {self.store}"

    @property
    def victims(self) -> tuple[int, ...]:
        """Who has a lease and cannot say that it lives."""
        return tuple(member.pid for member in self.members) if self.store == "postgres" and self.group != "producer" else ()

    def heal(self) -> None:
        """Let everything pass."""
        for wire in self.wires:
            wire.heal()

    async def meets(self, how: Callable[[Proxy], None]) -> None:
        """Break it, and return when that has hit a connection."""
        before = sum(wire.hits for wire in self.wires)
        for wire in self.wires:
            how(wire)

        async def met() -> bool:
            return sum(wire.hits for wire in self.wires) > before

        if not await _comes(met, HIT_SECONDS):
            raise MissedError("no connection met it")


async def _comes(true: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    with suppress(TimeoutError):
        await until(true, seconds, "it")
        return True
    return False


def _way(world: World, dice: Random) -> Way:
    groups = sorted({group_of(member.part) for member in world.members})
    group, store = dice.choice([(group, store) for group in groups for store in STORES])
    there = [member for member in world.members if group_of(member.part) == group]
    members = there if dice.random() < 0.5 else [dice.choice(there)]
    return Way(group, store, members, [world.wires[member.name, store] for member in members], len(members) == len(there))


async def _broken(world: World, dice: Random, seconds: float, how: Callable[[Proxy], None]) -> AsyncIterator[Hit]:
    """It counts from when a connection has met it."""
    way = _way(world, dice)
    try:
        await way.meets(how)
        yield Hit(seconds, way.victims, way.detail, way.aim)
    finally:
        way.heal()


@fault("network.refuse", KIND)
async def refused(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Every connection is refused, open ones are cut."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 5), lambda wire: wire.refuse()):
        yield hit


@fault("network.black_hole", KIND)
async def black_hole(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Nothing passes, nothing says so; sometimes for longer than a lease."""
    seconds = dice.choice([dice.uniform(0.5, 8), world.settings.lease_seconds * LONG_LEASES])
    async for hit in _broken(world, dice, seconds, lambda wire: wire.black_hole()):
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
    way = _way(world, dice)
    marker, reset = dice.choice(MARKERS[way.store]), dice.random() < 0.5
    for wire in way.wires:
        wire.drop_reply(marker, reset=reset)

    async def dropped() -> bool:
        return any(wire.reply_dropped.is_set() for wire in way.wires)

    try:
        if not await _comes(dropped, REPLY_SECONDS):
            raise MissedError(f"{way.detail}: nobody sent {marker.decode()}")
        yield Hit(dice.uniform(0, 3), way.victims, f"{way.detail}, {marker.decode()}", way.aim)
    finally:
        way.heal()


@fault("network.cut", KIND)
async def cut(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Each connection breaks after so many bytes, in the middle of a message."""
    async for hit in _broken(world, dice, dice.uniform(0.5, 3), lambda wire: wire.cut_after(dice.randint(1, 3000))):
        yield hit
