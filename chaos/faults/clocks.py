"""Clocks that are wrong, by libfaketime (Debian: `faketime`), where that is there."""

import signal
import time
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.world import World

HOUR_SECONDS = 3600
OFFSETS = (HOUR_SECONDS, -HOUR_SECONDS)
LIBRARIES = ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib/faketime/libfaketimeMT.so.1", "opt/homebrew/lib/faketime/libfaketimeMT.so.1")


@cache
def library() -> str:
    """Return the path of libfaketime, or an empty string."""
    return str(next((found for pattern in LIBRARIES for found in Path("/").glob(pattern)), ""))


def _needed() -> None:
    if not library():
        raise MissedError("libfaketime is not on this machine")


def _wrong(offset: int) -> dict[str, str]:
    return {"LD_PRELOAD": library(), "FAKETIME": f"{offset:+d}s"}


@fault("clock.off", "clock")
async def clock_off(world: World, dice: Random) -> AsyncIterator[Hit]:
    """One member is started again with its clock an hour fast or slow, and later with the right one."""
    _needed()
    try:
        member = world.any()
    except LookupError as error:
        raise MissedError(str(error)) from None
    offset = dice.choice(OFFSETS)
    await world.drain(member)
    world.note_death(member)
    world.begin(member, **_wrong(offset))
    yield Hit(dice.uniform(3, 6), detail=f"{member.name} {offset:+d} s")
    await world.drain(member)
    world.note_death(member)
    world.begin(member)


@fault("redis.clock", "clock", "redis")
async def redis_clock_off(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Valkey comes back with its clock an hour fast or slow, and later with the right one."""
    _needed()
    offset = dice.choice(OFFSETS)
    try:
        await _restarted(world, _wrong(offset) | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"})
        seconds, _ = await world.broker.command("TIME")
        if abs(int(seconds) - time.time()) < HOUR_SECONDS / 2:
            raise MissedError("libfaketime does nothing to this Valkey")
        yield Hit(dice.uniform(2, 6), detail=f"{offset:+d} s")
    finally:
        await _restarted(world, {})


async def _restarted(world: World, environment: Mapping[str, str]) -> None:
    await world.servers.down(world.servers.valkey, signal.SIGTERM)
    await world.servers.up(world.servers.valkey, environment)
