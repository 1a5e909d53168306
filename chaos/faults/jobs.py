"""Handlers that hang, block the loop, exhaust memory, segfault, leave, or return too much: each on its first attempt only."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

from chaos.faults.fault import Hit, MissedError, fault
from chaos.world import World

KIND = "handler"
TIMEOUT_SECONDS = 1.0  # of the job that hangs
BLOCK_SECONDS = 2.0


async def _let(world: World, kind: str, misdeed: str, **fields: Any) -> Hit:
    seconds = fields.pop("seconds", 0.0)
    body = {"type": kind, "payload": {"n": world.client.number(), "misdeed": misdeed, "times": 1, "seconds": seconds}} | fields
    if not await world.client.submit([body]):
        raise MissedError("the job was not accepted")
    return Hit(detail=kind)


@fault("handler.hang", KIND)
async def hangs(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It ignores that its time is up and that it is cancelled."""
    del dice
    yield await _let(world, "chaos.work", "hang", timeout=TIMEOUT_SECONDS)


@fault("handler.block", KIND)
async def blocks(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It does not give the loop back."""
    del dice
    yield await _let(world, "chaos.work", "block", seconds=BLOCK_SECONDS)


@fault("handler.starve", KIND)
async def starves(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It takes more memory than its child process may have."""
    del dice
    yield await _let(world, "chaos.process", "starve")


@fault("handler.segfault", KIND)
async def segfaults(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It takes its process with it: the consumer, or a child of it."""
    yield await _let(world, dice.choice(["chaos.work", "chaos.thread", "chaos.process"]), "segfault")


@fault("handler.exit", KIND)
async def exits(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It calls os._exit."""
    yield await _let(world, dice.choice(["chaos.work", "chaos.thread", "chaos.process"]), "exit")


@fault("handler.overflow", KIND)
async def overflows(world: World, dice: Random) -> AsyncIterator[Hit]:
    """It returns three times what a result may have."""
    yield await _let(world, dice.choice(["chaos.work", "chaos.thread", "chaos.process"]), "overflow")
