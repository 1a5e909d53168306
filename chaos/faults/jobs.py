"""Handlers that hang, block the loop, exhaust memory, segfault, leave, or return too much: each on its first attempt only."""

from collections.abc import AsyncIterator
from contextlib import suppress
from random import Random
from typing import Any

from chaos.faults.fault import Hit, MissedError, fault
from chaos.journal import read, size
from chaos.servers import until
from chaos.world import World

KIND = "handler"
TYPES = ("chaos.work", "chaos.thread", "chaos.process")
TIMEOUT_SECONDS = 1.0  # of the job that hangs
BLOCK_SECONDS = 2.0
LONG_LEASES = 1.3
TOLD_SECONDS = 20.0  # for the job to begin


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
