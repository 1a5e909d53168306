"""Handlers that hang, block the loop, exhaust memory, segfault, leave, or return too much: each on its first attempt only."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random
from typing import Any

from chaos.faults.fault import Hit, MissedError, fault
from chaos.journal import read, size
from chaos.member import Member
from chaos.memory import limited
from chaos.servers import until
from chaos.world import World

KIND = "handler"
TYPES = ("chaos.work", "chaos.thread", "chaos.process")
TIMEOUT_SECONDS = 1.0  # of the job that hangs
BLOCK_SECONDS = 2.0
LONG_LEASES = 1.3
TOLD_SECONDS = 20.0  # for the job to begin
KILLED_SECONDS = 10.0  # for the kernel to find who took too much
Effect = Callable[[World, int], Awaitable[bool]]
CONSUMER_BYTES = 256 * 1024**2  # that a consumer may take while one of its handlers takes four times that


async def _told_is_done(world: World, pid: int) -> bool:
    del world, pid
    return True


async def _let(
    world: World,
    kind: str,
    misdeed: str,
    lasts: float = 0.0,
    effect: Callable[[World, int], Awaitable[bool]] = _told_is_done,
    **fields: Any,
) -> AsyncIterator[Hit]:
    """It counts when the handler has told the recorder that it is about to, and its process has felt that: `effect(world, pid)`."""
    since = size(world.recording)
    body = {"type": kind, "payload": {"n": world.client.number(), "misdeed": misdeed, "times": 1, "seconds": lasts}} | fields
    if not (ids := await world.client.submit([body], spared=True)):
        raise MissedError("the job was not accepted")
    pid = await _told(world, ids[0], since)
    felt = pid and await effect(world, pid)
    yield Hit(lasts if pid else 0.0, detail=kind)
    if not felt:  # it may still come to it
        await world.client.cancel(ids[0])
        raise MissedError("it had no effect" if pid else f"the handler did not say within {TOLD_SECONDS:g} s that it begins")


async def _told(world: World, job: str, since: int) -> int:
    """Return the pid of who says so; 0 for nobody."""
    pid = 0

    async def misbehaves() -> bool:
        nonlocal pid
        pid = next((event["pid"] for event in read(world.recording, since) if event["e"] == "misdeed" and event["job"] == job), 0)
        return pid != 0

    with suppress(TimeoutError):
        await until(misbehaves, TOLD_SECONDS, "the handler says so")
    return pid


@fault("handler.hang", KIND)
async def hangs(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It ignores that its time is up and that it is cancelled: a coroutine, a thread, a child process."""
    async for hit in _let(world, dice.choice(TYPES), "hang", timeout=TIMEOUT_SECONDS):
        yield hit


@fault("handler.block", KIND)
async def blocks(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It does not give the loop back."""
    del dice
    async for hit in _let(world, "chaos.work", "block", BLOCK_SECONDS):
        yield hit


@fault("handler.block.long", KIND)
async def blocks_long(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It does so for longer than a lease lasts: beats come from a thread, so the lease is kept."""
    del dice
    async for hit in _let(world, "chaos.work", "block", world.settings.lease_seconds * LONG_LEASES):
        yield hit


@fault("handler.starve", KIND)
async def starves(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It takes more memory than its child process may have."""
    del dice
    async for hit in _let(world, "chaos.process", "starve"):
        yield hit


@fault("handler.starve.consumer", KIND)
async def starves_its_consumer(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It takes more memory than its consumer may have, and the kernel kills that."""
    if not (members := world.alive("consumer")):
        raise MissedError("no consumer runs")
    async with _little_memory(members):
        async for hit in _let(world, dice.choice(TYPES[:2]), "starve", effect=_killed_by_the_kernel):
            yield hit


@asynccontextmanager
async def _little_memory(members: Sequence[Member]) -> AsyncIterator[None]:
    async with AsyncExitStack() as limits:
        try:
            for member in members:
                await limits.enter_async_context(limited(member.pid, CONSUMER_BYTES))
        except OSError as error:
            raise MissedError(f"no consumer can be given little memory, which wants the right to make control groups: {error}") from None
        yield


async def _killed_by_the_kernel(world: World, pid: int) -> bool:
    async def gone() -> bool:
        return pid in world.deaths

    with suppress(TimeoutError):
        await until(gone, KILLED_SECONDS, "it ends")
    return world.deaths.get(pid) == -signal.SIGKILL and not any(pid in member.killed for member in world.members)


@fault("handler.segfault", KIND)
async def segfaults(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It takes its process with it: the consumer, or a child of it."""
    async for hit in _let(world, dice.choice(TYPES), "segfault"):
        yield hit


@fault("handler.exit", KIND)
async def exits(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It calls os._exit."""
    async for hit in _let(world, dice.choice(TYPES), "exit"):
        yield hit


@fault("handler.overflow", KIND)
async def overflows(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It returns three times what a result may have."""
    async for hit in _let(world, dice.choice(TYPES), "overflow"):
        yield hit
