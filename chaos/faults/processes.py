"""Processes are killed and frozen, in the middle of whatever they do. No two hands have the same one, but for who kills all."""

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.member import Member
from chaos.servers import until
from chaos.shape import SERVICES
from chaos.world import World

STOP_SECONDS = 2.0  # for the kernel to stop all its threads
MINUTE_SECONDS = 60.0


def pick(world: World, *parts: str) -> Member:
    """Return one by chance that no other fault has."""
    try:
        return world.any(*parts)
    except LookupError as error:
        raise MissedError(str(error)) from None


@contextmanager
def held(world: World, *parts: str) -> Iterator[Member]:
    """Pick one, and keep it."""
    member = pick(world, *parts)
    with world.holding(member):
        yield member


def _services(world: World) -> tuple[str, ...]:
    """Parts that have service roles: processes of their own, or else the consumers."""
    return SERVICES if world.alive(*SERVICES) else ("consumer",)


@fault("consumer.kill", "SIGKILL")
async def consumer_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """In the middle of whatever it does."""
    del dice
    member = pick(world, "consumer")
    member.kill()
    yield Hit(victims=(member.pid,), detail=member.name)


@fault("consumer.kill.all", "SIGKILL")
async def consumers_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """All at one moment, also those that another fault has: it finds that out, and does not count."""
    del dice
    if not (members := world.alive("consumer")):
        raise MissedError("no consumer runs")
    for member in members:
        member.kill()
    yield Hit(victims=tuple(member.pid for member in members))


@fault("producer.kill", "SIGKILL")
async def producer_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """With requests under way."""
    del dice
    member = pick(world, "producer")
    member.kill()
    yield Hit(detail=member.name)


@fault("service.kill", "SIGKILL")
async def service_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """A reaper, delayer, reconciler, outbox, scheduler or janitor."""
    del dice
    member = pick(world, *_services(world))
    member.kill()
    yield Hit(victims=(member.pid,), detail=member.name)


# Freezes. A lease is lost when it is longer, and may be lost when it is nearly as long.


def brief(lease: float, dice: Random) -> float:
    """Half a lease, which it keeps: 5 s by default."""
    del dice
    return lease / 2


def edge(lease: float, dice: Random) -> float:
    """Until just before the lease ends, or just after: either may be."""
    return lease + dice.uniform(-1, 0.5)


def past(lease: float, dice: Random) -> float:
    """It wakes up as a stranger to its own jobs."""
    return lease * dice.uniform(1.2, 2.0)


def _minute(lease: float, dice: Random) -> float:
    """60 s."""
    del lease, dice
    return MINUTE_SECONDS


LENGTHS = {"brief": brief, "edge": edge, "past": past, "long": _minute}


async def frozen_for(member: Member, seconds: float, detail: str, aim: str = "") -> AsyncIterator[Hit]:
    """Let it go on after so long; `member` has been stopped, or has stopped itself."""
    pid = member.pid
    try:
        yield Hit(seconds, (pid,), detail, aim, lambda: member.pid == pid and member.stopped)
    finally:
        if member.pid == pid:
            member.signal(signal.SIGCONT)


async def stop(member: Member) -> None:
    """Freeze it, and return when it stands."""
    member.signal(signal.SIGSTOP)
    try:
        await until(member.stands, STOP_SECONDS, "it stands")
    except TimeoutError:
        member.signal(signal.SIGCONT)
        raise MissedError(f"{member.name} did not stand still") from None


def _register_freeze(part: str, name: str, length: Callable[[float, Random], float]) -> None:
    @fault(f"{part}.freeze.{name}", "SIGSTOP")
    async def frozen(world: World, dice: Random) -> AsyncIterator[Hit]:
        with held(world, *(_services(world) if part == "service" else (part,))) as member:
            await stop(member)
            async for hit in frozen_for(member, length(world.settings.lease_seconds, dice), member.name):
                yield hit


for _part in ("consumer", "producer", "service"):
    for _name, _length in LENGTHS.items():
        _register_freeze(_part, _name, _length)
