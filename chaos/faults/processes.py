"""Processes are killed and frozen: at random, and at the points of their work where it hurts."""

import signal
from collections.abc import AsyncIterator, Callable
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.member import Member
from chaos.servers import until
from chaos.world import SERVICES, World

POINT_SECONDS = 6.0  # a point that was not reached by then is not waited for any longer
POINTS = {
    "consumer": ("read", "claimed", "started", "ended", "settling", "settled", "acking", "acked", "triaged", "buried"),
    "producer": ("inserting", "committed", "publishing"),
    "reaper": ("taken_over", "reaped"),
    "delayer": ("promoted",),
    "reconciler": ("filling", "rebuilding", "reconciling"),
    "outbox": ("outbox_taken",),
    "scheduler": ("ticking", "scheduled"),
    "janitor": ("cleaning",),
}
RARE = {"buried", "cleaning", "filling", "rebuilding", "taken_over"}  # points that are passed once in a while only
MINUTE_SECONDS = 60.0


def _pick(world: World, *parts: str) -> Member:
    try:
        return world.any(*parts)
    except LookupError as error:
        raise MissedError(str(error)) from None


def _services(world: World) -> tuple[str, ...]:
    """Parts that have service roles: processes of their own, or else the consumers."""
    return SERVICES if world.alive(*SERVICES) else ("consumer",)


@fault("consumer.kill", "SIGKILL")
async def consumer_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """In the middle of whatever it does."""
    del dice
    member = _pick(world, "consumer")
    member.kill()
    yield Hit(victims=(member.pid,), detail=member.name)


@fault("consumer.kill.all", "SIGKILL")
async def consumers_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """All at one moment."""
    del dice
    members = world.alive("consumer")
    for member in members:
        member.kill()
    yield Hit(victims=tuple(member.pid for member in members))


@fault("producer.kill", "SIGKILL")
async def producer_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """With requests under way."""
    del dice
    member = _pick(world, "producer")
    member.kill()
    yield Hit(detail=member.name)


@fault("service.kill", "SIGKILL")
async def service_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """A reaper, delayer, reconciler, outbox, scheduler or janitor."""
    del dice
    member = _pick(world, *_services(world))
    member.kill()
    yield Hit(victims=(member.pid,), detail=member.name)


def _at_a_point(world: World, dice: Random, part: str) -> tuple[Member, str, int]:
    """Choose whom to catch, where, and at which time: of services one of each, or the consumers that have their roles."""
    part = dice.choice(SERVICES) if part == "service" else part
    point = dice.choice(POINTS[part])
    nth = 1 if point in RARE else dice.randint(1, 5 if part in SERVICES else 20)
    return _pick(world, part if world.alive(part) else "consumer"), point, nth


async def _killed_at(world: World, dice: Random, part: str) -> Hit:
    """Kill it wherever it is, and once more when it has come to the point in its next life."""
    member, point, nth = _at_a_point(world, dice, part)
    first = member.pid
    member.wanted = False
    member.kill()
    world.note_death(member)
    world.begin(member, MILLSTREAM_PROBES=f"{point}=kill@{nth}")
    second = member.pid
    if not await member.ended(POINT_SECONDS):
        await _disarm(world, member)
        raise MissedError(f"{member.name} did not come to {point}")
    return Hit(victims=(first, second), detail=f"{member.name} at {point}")


async def _disarm(world: World, member: Member) -> None:
    await world.drain(member)
    member.wanted = True  # the keeper starts it again


@fault("consumer.kill.point", "SIGKILL")
async def consumer_killed_at_point(world: World, dice: Random) -> AsyncIterator[Hit]:
    """After the read, after the claim, in the handler, after the effect, before and after the commit, before and after the ack."""
    yield await _killed_at(world, dice, "consumer")


@fault("producer.kill.point", "SIGKILL")
async def producer_killed_at_point(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Before the commit, after it, before the publish."""
    yield await _killed_at(world, dice, "producer")


@fault("service.kill.point", "SIGKILL")
async def service_killed_at_point(world: World, dice: Random) -> AsyncIterator[Hit]:
    """In the middle of a repair."""
    yield await _killed_at(world, dice, "service")


# Freezes. A lease is lost when it is longer, and may be lost when it is nearly as long.


def _brief(lease: float, dice: Random) -> float:
    """Half a lease, which it keeps: 5 s by default."""
    del dice
    return lease / 2


def _edge(lease: float, dice: Random) -> float:
    """Until just before the lease ends, or just after: either may be."""
    return lease + dice.uniform(-1, 0.5)


def _past(lease: float, dice: Random) -> float:
    """It wakes up as a stranger to its own jobs."""
    return lease * dice.uniform(1.2, 2.0)


def _minute(lease: float, dice: Random) -> float:
    """60 s."""
    del lease, dice
    return MINUTE_SECONDS


LENGTHS = {"brief": _brief, "edge": _edge, "past": _past, "long": _minute}


async def _frozen(world: World, member: Member, seconds: float, detail: str) -> AsyncIterator[Hit]:
    """Let it go on after so long; `member` has been stopped."""
    pid = member.pid
    yield Hit(seconds, () if seconds <= world.settings.lease_seconds / 2 else (pid,), detail)
    if member.pid == pid:
        member.signal(signal.SIGCONT)


def _register_freeze(part: str, name: str, length: Callable[[float, Random], float]) -> None:
    @fault(f"{part}.freeze.{name}", "SIGSTOP")
    async def frozen(world: World, dice: Random) -> AsyncIterator[Hit]:
        member = _pick(world, *(_services(world) if part == "service" else (part,)))
        member.signal(signal.SIGSTOP)
        async for hit in _frozen(world, member, length(world.settings.lease_seconds, dice), member.name):
            yield hit


def _register_freeze_at_point(part: str) -> None:
    @fault(f"{part}.freeze.point", "SIGSTOP")
    async def frozen(world: World, dice: Random) -> AsyncIterator[Hit]:
        """It is started anew, and stops itself when it has come to the point."""
        member, point, nth = _at_a_point(world, dice, part)
        await world.drain(member)
        world.note_death(member)
        world.begin(member, MILLSTREAM_PROBES=f"{point}=stop@{nth}")
        try:
            await until(member.stands, POINT_SECONDS, point)
        except TimeoutError:
            await _disarm(world, member)
            raise MissedError(f"{member.name} did not come to {point}") from None
        length = dice.choice([_brief, _edge, _past])
        async for hit in _frozen(world, member, length(world.settings.lease_seconds, dice), f"{member.name} at {point}"):
            yield hit


for _part in ("consumer", "producer", "service"):
    for _name, _length in LENGTHS.items():
        _register_freeze(_part, _name, _length)
    _register_freeze_at_point(_part)
