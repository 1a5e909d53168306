"""Kills and freezes at the points of a process's work where it hurts: it is started anew, and strikes itself when it gets there."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.faults.processes import brief, edge, frozen_for, held, past
from chaos.faults.scenes import flush, forget_clock, give_up, kill_another
from chaos.member import Member
from chaos.servers import until
from chaos.shape import SERVICES
from chaos.world import World
from shared.errors import UnavailableError

READY_SECONDS = 10.0  # for a process to start
POINT_SECONDS = 6.0  # a point that was not reached by then is not waited for any longer
POINTS: Mapping[str, tuple[str, ...]] = {
    "consumer": ("read", "claimed", "started", "ended", "settling", "settled", "acking", "acked", "triaged", "buried"),
    "producer": ("inserting", "committed", "publishing"),
    "reaper": ("taken_over", "reaped"),
    "delayer": ("promoted",),
    "reconciler": ("filling", "rebuilding", "reconciling"),
    "outbox": ("outbox_taken",),
    "scheduler": ("ticking", "scheduled"),
    "janitor": ("cleaning",),
}
AIMS = [f"{part} at {point}" for part, points in POINTS.items() for point in points]
RARE = {"buried", "cleaning", "filling", "rebuilding", "scheduled", "taken_over", "ticking", "triaged"}  # passed once in a while
MOST_TIMES = 20  # that a point of a producer or consumer is passed before it strikes
Check = Callable[[], Awaitable[bool]]
Length = Callable[[float, Random], float]


@dataclass(frozen=True)
class Scene:
    """What brings a process to a rare point: how often it is done at most, and how many leases and seconds it takes."""

    play: Callable[[World], Awaitable[None]]
    times: int = 4
    leases: float = 0.0
    seconds: float = 2.0


SCENES = {
    "rebuilding": Scene(flush),
    "filling": Scene(forget_clock),
    "buried": Scene(give_up),
    "taken_over": Scene(kill_another, 1, leases=1.0, seconds=4.0),
}


@dataclass(frozen=True)
class Aim:
    """Whom to catch, where, and at which time."""

    member: Member
    part: str
    point: str
    nth: int

    @property
    def detail(self) -> str:
        """Who was caught where."""
        return f"{self.member.name} at {self.point}"

    @property
    def name(self) -> str:
        """What it is counted by."""
        return f"{self.part} at {self.point}"

    def begin(self, world: World, action: str) -> int:
        """Start it so that it strikes itself there; return its pid."""
        world.note_death(self.member)
        world.begin(self.member, MILLSTREAM_PROBES=f"{self.point}={action}@{self.nth}")
        return self.member.pid


def _chosen(world: World, dice: Random, part: str) -> tuple[str, str, int]:
    """Return part, point and how often it has to be passed: of the services one of each, and once where several have the role."""
    part = dice.choice(SERVICES) if part == "service" else part
    point = dice.choice(POINTS[part])
    most = 1 if point in RARE or not world.alive(part) else 5 if part in SERVICES else MOST_TIMES
    return part, point, dice.randint(1, most)


def _whom(world: World, part: str) -> str:
    """A service has a process of its own, or else the consumers have its role."""
    return part if world.alive(part) else "consumer"


async def _comes(world: World, aim: Aim, there: Check) -> bool:
    """Whether it comes to the point; where that is rare the scene is set for it first."""
    if (scene := SCENES.get(aim.point)) is None:
        return await _within(POINT_SECONDS, there)

    async def serves() -> bool:
        return await there() or await world.serves(aim.member)

    seconds = scene.leases * world.settings.lease_seconds + scene.seconds
    for _ in range(scene.times if await _within(READY_SECONDS, serves) else 0):
        with suppress(UnavailableError, MissedError):
            if not await there():
                await scene.play(world)
        if await _within(seconds, there):
            return True
    return False


async def _within(seconds: float, check: Check) -> bool:
    with suppress(TimeoutError):
        await until(check, seconds, "the point")
        return True
    return False


async def _killed_at(world: World, dice: Random, kind: str) -> Hit:
    """Kill it wherever it is, and once more when it has come to the point in its next life."""
    part, point, nth = _chosen(world, dice, kind)
    with held(world, _whom(world, part)) as member:
        aim = Aim(member, part, point, nth)
        first = member.pid
        member.wanted = False
        member.kill()
        second = aim.begin(world, "kill")

        async def gone() -> bool:
            return member.pid != second or not member.alive

        if not await _comes(world, aim, gone):
            await world.drain(member)
            member.wanted = True  # the keeper starts it again
            raise MissedError(f"{member.name} did not come to {point}")
        if member.pid == second:
            world.note_death(member)
        if world.deaths.get(second) != -signal.SIGKILL or not member.came_to(point, second):
            raise MissedError(f"{member.name} ended with {world.deaths.get(second)} before it came to {point}")
        return Hit(victims=(first, second), detail=aim.detail, aim=aim.name)


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


async def _frozen_at(world: World, dice: Random, part: str, point: str, nth: int, length: Length) -> AsyncIterator[Hit]:
    """It is started anew, and stops itself when it has come to the point."""
    with held(world, _whom(world, part)) as member:
        aim = Aim(member, part, point, nth)
        await world.drain(member)
        pid = aim.begin(world, "stop")

        async def stands() -> bool:
            return member.pid == pid and member.stopped and member.came_to(point, pid)

        if not await _comes(world, aim, stands):
            member.kill()  # told to end it could still come there, and stand; the keeper starts it again
            raise MissedError(f"{member.name} did not come to {point}")
        async for hit in frozen_for(member, length(world.settings.lease_seconds, dice), aim.detail, aim.name):
            yield hit


@fault("consumer.freeze.claimed", "SIGSTOP")
async def frozen_with_claims(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It has claimed jobs and begun none of them; when it wakes up others have."""
    async for hit in _frozen_at(world, dice, "consumer", "claimed", dice.randint(1, MOST_TIMES), past):
        yield hit


def _register_freeze_at_point(kind: str) -> None:
    @fault(f"{kind}.freeze.point", "SIGSTOP")
    async def frozen(world: World, dice: Random) -> AsyncIterator[Hit]:
        async for hit in _frozen_at(world, dice, *_chosen(world, dice, kind), dice.choice([brief, edge, past])):
            yield hit


for _kind in ("consumer", "producer", "service"):
    _register_freeze_at_point(_kind)
