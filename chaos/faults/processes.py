"""Processes are killed and frozen: at random, and at the points of their work where it hurts."""

import signal
from collections.abc import AsyncIterator
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.member import Member
from chaos.world import SERVICES, World

POINT_SECONDS = 6.0  # a point that was not reached by then is not waited for any longer
CONSUMER_POINTS = ("read", "claimed", "started", "ended", "settling", "settled", "acking", "acked")
PRODUCER_POINTS = ("inserting", "committed", "publishing")
SERVICE_POINTS = {
    "reaper": "reaped",
    "delayer": "promoted",
    "scheduler": "scheduled",
    "outbox": "outbox_taken",
}


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


async def _killed_at(world: World, member: Member, point: str, nth: int) -> Hit:
    """Kill it wherever it is, and once more when it has come to the point in its next life."""
    first = member.pid
    member.wanted = False
    member.kill()
    world.note_death(member)
    world.begin(member, MILLSTREAM_PROBES=f"{point}=kill@{nth}")
    second = member.pid
    if not await member.ended(POINT_SECONDS):
        await world.drain(member)  # disarmed; the keeper starts it again
        member.wanted = True
        raise MissedError(f"{member.name} did not come to {point}")
    return Hit(victims=(first, second), detail=f"{member.name} at {point}")


@fault("consumer.kill.point", "SIGKILL")
async def consumer_killed_at_point(world: World, dice: Random) -> AsyncIterator[Hit]:
    """After the read, after the claim, in the handler, after the effect, before and after the commit, before and after the ack."""
    yield await _killed_at(world, _pick(world, "consumer"), dice.choice(CONSUMER_POINTS), dice.randint(1, 20))


@fault("producer.kill.point", "SIGKILL")
async def producer_killed_at_point(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Before the commit, after it, before the publish."""
    yield await _killed_at(world, _pick(world, "producer"), dice.choice(PRODUCER_POINTS), dice.randint(1, 20))


@fault("service.kill.point", "SIGKILL")
async def service_killed_at_point(world: World, dice: Random) -> AsyncIterator[Hit]:
    """In the middle of a repair."""
    role, point = dice.choice(sorted(SERVICE_POINTS.items()))
    yield await _killed_at(world, _pick(world, role if world.alive(role) else "consumer"), point, dice.randint(1, 5))


async def _frozen(world: World, parts: tuple[str, ...], seconds: float, *, loses_lease: bool) -> AsyncIterator[Hit]:
    member = _pick(world, *parts)
    pid = member.pid
    member.signal(signal.SIGSTOP)
    yield Hit(seconds, (pid,) if loses_lease else (), member.name)
    if member.pid == pid:
        member.signal(signal.SIGCONT)


@fault("consumer.freeze.brief", "SIGSTOP")
async def consumer_frozen_briefly(world: World, dice: Random) -> AsyncIterator[Hit]:
    """For half a lease, which it keeps."""
    del dice
    async for hit in _frozen(world, ("consumer",), world.settings.lease_seconds / 2, loses_lease=False):
        yield hit


@fault("consumer.freeze.edge", "SIGSTOP")
async def consumer_frozen_to_the_edge(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Until just before its lease ends, or just after: either may be."""
    seconds = world.settings.lease_seconds + dice.uniform(-1, 0.5)
    async for hit in _frozen(world, ("consumer",), seconds, loses_lease=True):
        yield hit


@fault("consumer.freeze.past", "SIGSTOP")
async def consumer_frozen_past_its_lease(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It wakes up as a stranger to its own jobs."""
    seconds = world.settings.lease_seconds * dice.uniform(1.2, 2.0)
    async for hit in _frozen(world, ("consumer",), seconds, loses_lease=True):
        yield hit


@fault("consumer.freeze.long", "SIGSTOP")
async def consumer_frozen_for_a_minute(world: World, dice: Random) -> AsyncIterator[Hit]:
    """60 s."""
    del dice
    async for hit in _frozen(world, ("consumer",), 60.0, loses_lease=True):
        yield hit


@fault("producer.freeze", "SIGSTOP")
async def producer_frozen(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Between a commit and its answer, or its publish."""
    async for hit in _frozen(world, ("producer",), dice.uniform(0.5, 5), loses_lease=False):
        yield hit


@fault("service.freeze", "SIGSTOP")
async def service_frozen(world: World, dice: Random) -> AsyncIterator[Hit]:
    """In the middle of a repair, past its lease."""
    async for hit in _frozen(world, _services(world), world.settings.lease_seconds * dice.uniform(0.5, 1.5), loses_lease=True):
        yield hit
