"""Handlers that hang, block the loop, exhaust memory, segfault, leave, or return too much: each on its first attempt only."""

from collections.abc import AsyncIterator, Sequence
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
CONSUMER_BYTES = 256 * 1024**2  # that a consumer may take while one of its handlers takes four times that


async def _let(world: World, kind: str, misdeed: str, lasts: float = 0.0, **fields: Any) -> AsyncIterator[Hit]:
    """It counts when the handler has told the recorder that it is about to."""
    since = size(world.recording)
    body = {"type": kind, "payload": {"n": world.client.number(), "misdeed": misdeed, "times": 1, "seconds": lasts}} | fields
    if not (ids := await world.client.submit([body], spared=True)):
        raise MissedError("the job was not accepted")
    told = await _told(world, ids[0], since)
    yield Hit(lasts if told else 0.0, detail=kind)
    if not told:  # it may still come to it
        await world.client.cancel(ids[0])
        raise MissedError(f"the handler did not say within {TOLD_SECONDS:g} s that it begins")


async def _told(world: World, job: str, since: int) -> bool:
    async def misbehaves() -> bool:
        return any(event["e"] == "misdeed" and event["job"] == job for event in read(world.recording, since))

    with suppress(TimeoutError):
        await until(misbehaves, TOLD_SECONDS, "the handler says so")
        return True
    return False


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
    members = world.alive("consumer")
    async with _little_memory(members):
        async for hit in _let(world, dice.choice(TYPES[:2]), "starve"):
            killed = await _one_ends(members)
            yield hit
            if not killed:
                raise MissedError("the kernel let all consumers live")


@asynccontextmanager
async def _little_memory(members: Sequence[Member]) -> AsyncIterator[None]:
    async with AsyncExitStack() as limits:
        try:
            for member in members:
                await limits.enter_async_context(limited(member.pid, CONSUMER_BYTES))
        except OSError as error:
            raise MissedError(f"a consumer with little memory wants the right to make control groups: {error}") from None
        yield


async def _one_ends(members: Sequence[Member]) -> bool:
    lives = [(member, member.pid) for member in members]

    async def gone() -> bool:
        return any(member.pid != pid or not member.alive for member, pid in lives)

    with suppress(TimeoutError):
        await until(gone, KILLED_SECONDS, "one of them ends")
        return True
    return False


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
