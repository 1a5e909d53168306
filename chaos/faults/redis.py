"""Valkey is killed, frozen, emptied, set back, starved, and parts of what it holds are taken away."""

import signal
from collections.abc import AsyncIterator
from random import Random
from typing import Any

from chaos.faults.fault import Hit, MissedError, fault
from chaos.servers import until
from chaos.world import World
from shared.keys import PRIORITIES

KIND = "Redis"
REFUSED_SECONDS = 4.0  # for a write to come that is refused
OUT_OF_MEMORY = "1mb"  # less than an empty server has taken


@fault("redis.kill", KIND, "redis")
async def killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """What was written in the last second may be gone."""
    await world.servers.down(world.servers.valkey, signal.SIGKILL)
    yield Hit(dice.uniform(0.2, 4))
    await world.servers.up(world.servers.valkey)


@fault("redis.freeze", KIND, "redis")
async def frozen(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Connections stay open, nobody answers."""
    world.servers.freeze(world.servers.valkey)
    yield Hit(dice.uniform(0.5, 8))
    world.servers.thaw(world.servers.valkey)


@fault("redis.flush", KIND)
async def flushed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """FLUSHALL."""
    del dice
    if not await world.broker.command("DBSIZE"):
        raise MissedError("nothing was there")
    await world.broker.command("FLUSHALL")
    yield Hit()


@fault("redis.empty", KIND, "redis")
async def started_empty(world: World, dice: Random) -> AsyncIterator[Hit]:
    """The server comes back without its files."""
    await world.servers.down(world.servers.valkey, signal.SIGKILL)
    world.servers.restore_valkey(empty=True)
    yield Hit(dice.uniform(0, 2))
    await world.servers.up(world.servers.valkey)


@fault("redis.old", KIND)
async def set_back(world: World, dice: Random) -> AsyncIterator[Hit]:
    """The server comes back with files of some seconds ago: entries that were acknowledged are there again, others are missing."""
    world.servers.save_valkey()
    yield Hit(dice.uniform(0.5, 3))
    await world.servers.down(world.servers.valkey, signal.SIGKILL)
    world.servers.restore_valkey()
    await world.servers.up(world.servers.valkey)


@fault("redis.group", KIND)
async def group_destroyed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """XGROUP DESTROY, on one of the streams."""
    stream = world.broker.keys.stream(dice.choice(PRIORITIES))
    if not await world.broker.command("XGROUP", "DESTROY", stream, world.settings.group):
        raise MissedError("there was no group")
    yield Hit(detail=stream)


@fault("redis.zset", KIND)
async def zset_deleted(world: World, dice: Random) -> AsyncIterator[Hit]:
    """All that waits for its time."""
    del dice
    if not await world.broker.command("DEL", world.broker.keys.delayed):
        raise MissedError("nothing waited")
    yield Hit()


@fault("redis.entries", KIND)
async def entries_deleted(world: World, dice: Random) -> AsyncIterator[Hit]:
    """XDEL of up to half of a stream, delivered or not."""
    stream = world.broker.keys.stream("normal")
    entries: list[Any] = await world.broker.command("XRANGE", stream, "-", "+", "COUNT", 200)
    chosen = [entry_id for entry_id, _ in entries if dice.random() < 0.5]
    if not chosen or not (count := await world.broker.command("XDEL", stream, *chosen)):
        raise MissedError("the stream was empty")
    yield Hit(detail=f"{count} entries")


@fault("redis.stream", KIND)
async def stream_deleted(world: World, dice: Random) -> AsyncIterator[Hit]:
    """DEL of a stream with its group, or of the dead-letter stream."""
    keys = world.broker.keys
    key = dice.choice([keys.stream("normal"), keys.stream("high"), keys.dlq])
    if not await world.broker.command("DEL", key):
        raise MissedError(f"there was no {key}")
    yield Hit(detail=key)


@fault("redis.note", KIND)
async def note_deleted(world: World, dice: Random) -> AsyncIterator[Hit]:
    """DEL of the note by which clock the ZSET was filled."""
    del dice
    if not await world.broker.command("DEL", world.broker.keys.clock):
        raise MissedError("there was no note")
    yield Hit()


@fault("redis.memory", KIND, "redis")
async def out_of_memory(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Writes are refused, reads are not."""
    before = await _errors(world, "OOM")
    try:
        await world.broker.command("CONFIG", "SET", "maxmemory", OUT_OF_MEMORY)
        await _refuses(world, "OOM", before)
        yield Hit(dice.uniform(0.5, 4))
    finally:
        await world.broker.command("CONFIG", "SET", "maxmemory", 0)


async def _errors(world: World, name: str) -> int:
    """How often it has answered with this error."""
    found = (await world.broker.command("INFO", "errorstats")).get(f"errorstat_{name}", {"count": 0})
    return int(found["count"])


async def _refuses(world: World, name: str, before: int) -> None:
    """Return when a write has been refused."""

    async def refused() -> bool:
        return await _errors(world, name) > before

    try:
        await until(refused, REFUSED_SECONDS, "a write is refused")
    except TimeoutError:
        raise MissedError("no write was refused") from None


@fault("redis.disk", KIND, "redis")
async def disk_full(world: World, dice: Random) -> AsyncIterator[Hit]:
    """The append-only file cannot grow: writes are refused until it can."""
    disk = world.servers.disks["valkey"]
    if not disk.own:
        raise MissedError("a full disk wants the right to mount a small one")
    before = await _errors(world, "MISCONF")
    try:
        disk.fill()
        await _refuses(world, "MISCONF", before)
        yield Hit(dice.uniform(1, 4))
    finally:
        disk.clear()


@fault("redis.clients", KIND)
async def clients_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """CLIENT KILL of all connections."""
    del dice
    if not (count := await world.broker.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")):
        raise MissedError("nobody was connected")
    yield Hit(detail=f"{count} connections")
