"""Clocks that are wrong, by libfaketime (Debian: `faketime`), where that is there."""

import signal
import time
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.faults.processes import held
from chaos.member import Member
from chaos.servers import until
from chaos.world import World

HOUR_SECONDS = 3600
OFF_SECONDS = (12.0, 16.0)  # more than a lease
SAID_SECONDS = 15.0  # for a process to start and to log something
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
    with held(world) as member:
        offset = dice.choice(OFFSETS)
        try:
            pid = await world.restart(member, **_wrong(offset))
            await _is_off(world, member, pid)
            yield Hit(dice.uniform(*OFF_SECONDS), detail=f"{member.name} {offset:+d} s", lasts=lambda: member.alive and member.pid == pid)
        finally:
            await world.restart(member)


async def _is_off(world: World, member: Member, pid: int) -> None:
    """Return when it works by a clock that is wrong, as its log says."""

    async def said() -> bool:
        return member.said_at(pid) is not None and await world.serves(member)

    try:
        await until(said, SAID_SECONDS, "it works")
    except TimeoutError:
        raise MissedError(f"{member.name} did not begin to work") from None
    if abs((member.said_at(pid) or 0) - time.time()) < HOUR_SECONDS / 2:
        raise MissedError("libfaketime does nothing to this Python")


@fault("redis.clock", "clock")
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
