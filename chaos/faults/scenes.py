"""What is done so that a process comes to a point that it passes seldom. What is a fault itself is noted as one, and counts as one."""

import time

from chaos.faults.fault import FAULTS, MissedError
from chaos.world import World

LETTERS = 3  # jobs that are given up at a time


def _noted(world: World, name: str, began: float, victims: tuple[int, ...] = (), detail: str = "") -> None:
    """Write down a fault that struck and was over at once."""
    fault, number = FAULTS[name], f"scene {time.time_ns()}"
    fields = {"fault": name, "kind": fault.kind, "strikes": sorted(fault.strikes), "victims": victims, "began": began, "detail": detail}
    world.journal.note("struck", i=number, **fields)
    world.journal.note("healed", i=number)


async def flush(world: World) -> None:
    """Redis is empty: a reconciler has to build everything anew."""
    began = time.time()
    await world.broker.command("FLUSHALL")
    _noted(world, "redis.flush", began)


async def forget_clock(world: World) -> None:
    """Redis has lost the note by which clock its ZSET was filled: a reconciler fills it anew."""
    began = time.time()
    if await world.broker.command("DEL", world.broker.keys.clock):
        _noted(world, "redis.note", began)


async def kill_another(world: World) -> None:
    """A consumer is killed: a reaper takes over what it had."""
    began = time.time()
    try:
        member = world.any("consumer")
    except LookupError as error:
        raise MissedError(str(error)) from None
    member.kill()
    _noted(world, "consumer.kill", began, (member.pid,), member.name)


async def give_up(world: World) -> None:
    """Jobs fail for good: their letters are put into the DLQ stream."""
    numbers = [world.client.number() for _ in range(LETTERS)]
    payloads = [{"n": number, "misdeed": "give_up", "times": 100} for number in numbers]
    await world.client.submit([{"type": "chaos.work", "payload": payload} for payload in payloads])
