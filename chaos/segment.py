"""One segment of a run: load and faults for a while, then everything is healed, and what happened is checked."""

import asyncio
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from chaos.errors import ChaosError, NotInTimeError, StrandedError, or_else
from chaos.history import CALM_SECONDS, History
from chaos.injector import PAUSE_SECONDS, Injector
from chaos.journal import Journal, read
from chaos.letters import LetterWatch
from chaos.load import Load, chosen
from chaos.outcome import Outcome, keep, outcome_of
from chaos.reading import read_database, read_journal, read_recording
from chaos.rest import Left, ghosts_left, left_over, rest
from chaos.schedules import WHEN, definition
from chaos.servers import Servers, until
from chaos.shape import Shape
from chaos.world import World, standing
from shared.broker import REAPER
from shared.errors import UnavailableError

TYPES_SECONDS = 10.0
ASKED_SECONDS = 120.0  # so long the suite asks for what comes at once when nothing is broken
PATIENCE_SECONDS = 120.0  # by then every job is over: leases end, retries come, a backlog is worked off
SIGNS = ('"service_failed"', '"request_failed"', '"heartbeat_failed"')  # that something went wrong which nobody foresaw
TRACEBACK = "Traceback"  # the user's handlers may log theirs
WATCH_SECONDS = 0.5
ECHO_SECONDS = 2.0  # of load: who wakes up last has to meet some
CALM_LOAD_SECONDS = 8.0
Until = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
Say = Callable[[str], None]
MARK = "the end of the recording"


@dataclass(frozen=True)
class Plan:
    """What a segment does. `faults` are the names to choose from, `seed` all its chances."""

    seed: int
    theme: str
    faults: Sequence[str]
    seconds: float
    rate: float
    shape: Shape
    bulk: int = 40  # jobs of the largest bulk request
    hands: int = 2  # faults at a time, at most
    pause: tuple[float, float] = PAUSE_SECONDS  # between two faults
    patience: float = PATIENCE_SECONDS  # from the healing until all jobs are over
    settings: Mapping[str, str] = field(default_factory=dict)
    handlers: Sequence[str] = ()
    jobs: Sequence[tuple[str, dict[str, Any]]] = ()
    first: int = 1  # number of its first job


async def run_segment(servers: Servers, plan: Plan, folder: Path, say: Say = lambda _: None) -> Outcome:
    """Run it, and say how far it is. Its files are in `folder` afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    history = History()
    with Journal(folder / "journal.jsonl") as journal:
        dice = _dice(plan, "world")
        async with standing(servers, folder, journal, dice, shape=plan.shape, handlers=plan.handlers, settings=plan.settings) as world:
            history.lease_seconds = world.settings.lease_seconds
            history.heartbeat_seconds = world.settings.heartbeat_seconds
            history.grace_seconds = world.settings.grace_seconds
            history.max_crashes = world.settings.max_crashes
            history.job_timeout = world.settings.job_timeout_seconds
            world.client.numbers = itertools.count(plan.first)
            await _try_jobs(world, plan)
            missed, left = await _broken_and_healed(world, plan, say)
            await world.stop_members()
            history.left = {**await ghosts_left(world), **left}
            await _end_of_recording(world)
            history.rows_read = await _rows_read(world, history)
            history.logged = _unforeseen(world, SIGNS if plan.handlers else (*SIGNS, TRACEBACK))
    read_journal(history, folder / "journal.jsonl")
    read_recording(history, folder / "recording.jsonl")
    keep(history, folder)
    return outcome_of(history, missed)


async def _broken_and_healed(world: World, plan: Plan, say: Say) -> tuple[Mapping[str, str], Left]:
    """Return the faults that did not strike, and why; and what was left at rest. A service that does not come back is written down."""
    missed: Mapping[str, str] = {}
    try:
        async with _for_the_time_of(world.keep(), _watch_group(world), LetterWatch(world.broker, world.journal).watch()):
            missed = await _strike(world, plan)
            await _heal(world, plan)
            say(f"  all faults are healed: now all jobs have to be over within {plan.patience:g} s")
            if left := await rest(world, plan.patience):  # poison jobs go on killing until they are dead-lettered
                return missed, left
            say("  all are over: load once more, then all processes are ended and the history is checked")
            await _calm(world, plan)
            return missed, await rest(world, plan.patience)
    except StrandedError as error:
        world.journal.note("stranded", what="; ".join([str(error), *await _plight(world)]))
        return missed, {}


async def _plight(world: World) -> list[str]:
    """The state in which it was left: who does not serve, and what is in the stores."""
    idle = [f"{member.name} does not serve: {member.last_line()}" for member in world.members if not await world.serves(member)]
    try:
        return idle + [sentence for sentences in (await left_over(world)).values() for sentence in sentences]
    except UnavailableError as error:
        return [*idle, str(error)]


async def _rows_read(world: World, history: History) -> bool:
    """Whether the rows could be read; without them nothing can be judged."""
    try:
        await read_database(history, world.database)
    except UnavailableError as error:
        world.journal.note("stranded", what=f"the rows cannot be read: {error}")
        return False
    return True


def _dice(plan: Plan, part: str) -> Random:
    """Of a part of its own: what one part draws does not depend on how often another did."""
    return Random(f"{plan.seed}/{part}")


async def _try_jobs(world: World, plan: Plan) -> None:
    """Raises ChaosError for a job that is refused while nothing is broken; consumers publish their types a moment after they start."""
    for kind, payload in plan.jobs:
        body = chosen(kind, payload, world.client.number())

        async def taken(body: dict[str, Any] = body) -> bool:
            return bool(await world.client.submit([body]))

        try:
            await until(taken, TYPES_SECONDS, "the job is accepted")
        except NotInTimeError:
            raise ChaosError(f"the job {kind} is refused: {world.client.problem}") from None


async def _strike(world: World, plan: Plan) -> Mapping[str, str]:
    """Load and faults for so long, and load until the last fault is over. Returns the faults that did not strike, and why."""
    injector = Injector(world, plan.faults, _dice(plan, "faults"), plan.hands, plan.pause)
    with or_else(ChaosError, "the service did not come up"):
        await until(lambda: _scheduled(world), ASKED_SECONDS, "the schedules are taken")
    world.journal.note("scheduled")
    load = Load(world, world.client, _dice(plan, "load"), plan.rate, plan.bulk, plan.jobs)
    await _both(load.run, injector.run, plan.seconds)
    return injector.missed


async def _both(load: Until, inject: Until, seconds: float) -> None:
    """Begin faults for so long; the load goes on until the last of them is over, and a little longer."""
    stop, over = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load(over))
        injecting = tasks.create_task(inject(stop))
        await asyncio.sleep(seconds)
        stop.set()
        await injecting
        await asyncio.sleep(ECHO_SECONDS)
        over.set()


async def _heal(world: World, plan: Plan) -> None:
    """Heal everything, and end the schedules. Raises StrandedError."""
    with or_else(StrandedError, "the service did not come back"):
        await world.heal(plan.patience)
        world.journal.note("whole")
        await until(lambda: _schedules_deleted(world), ASKED_SECONDS, "the schedules are gone")


async def _calm(world: World, plan: Plan) -> None:
    """Load for a while when nothing has been broken for long: who did not come back as it was shows."""
    well = world.troubled_at + world.settings.lease_seconds + CALM_SECONDS
    await asyncio.sleep(max(well - time.time(), 0) + 1)
    began, stop = time.time(), asyncio.Event()
    asyncio.get_running_loop().call_later(CALM_LOAD_SECONDS, stop.set)
    await Load(world, world.client, _dice(plan, "calm"), plan.rate, plan.bulk, plan.jobs).run(stop)
    world.journal.note("calm", began=began)


@asynccontextmanager
async def _for_the_time_of(*deeds: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let these go on meanwhile; an error of theirs ends the block. An error that comes alone is raised as it is."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(deed) for deed in deeds]
            yield
            for task in running:
                task.cancel()
    except ExceptionGroup as errors:
        if len(errors.exceptions) > 1:
            raise
        raise errors.exceptions[0] from None


async def _scheduled(world: World) -> bool:
    """Make the schedules; a producer that has just started does not know the type yet."""
    try:
        for name in WHEN:
            await world.client.put_schedule(name, definition(name))
    except aiohttp.ClientError:
        return False
    return True


async def _schedules_deleted(world: World) -> bool:
    try:
        await world.database.fetch("DELETE FROM schedules")
    except UnavailableError:
        return False
    return True


async def _watch_group(world: World) -> None:
    """Note who is in the consumer groups whenever that has changed, for ever."""
    known: set[str] | None = None
    while True:
        with suppress(UnavailableError):
            if (members := await world.broker.consumers() - {REAPER}) != known:
                known = members
                world.journal.note("group", members=sorted(members))
        await asyncio.sleep(WATCH_SECONDS)


async def _end_of_recording(world: World) -> None:
    """What everybody said before is written down when this is."""
    world.mark_recording()

    async def written() -> bool:
        return any(event["e"] == "mark" for event in read(world.recording))

    await until(written, ASKED_SECONDS, MARK)


def _unforeseen(world: World, signs: Sequence[str]) -> list[str]:
    return [f"{sign} in the log of {member.name}" for member in world.members for sign in signs if member.says(sign)]
