"""A process whose clock is an hour wrong, by libfaketime (Debian: `faketime`), where that is there."""

from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.world import World

HOUR_SECONDS = 3600
LIBRARIES = ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib/faketime/libfaketimeMT.so.1", "opt/homebrew/lib/faketime/libfaketimeMT.so.1")


@cache
def library() -> str:
    """Return the path of libfaketime, or an empty string."""
    return str(next((found for pattern in LIBRARIES for found in Path("/").glob(pattern)), ""))


@fault("clock.off", "clock")
async def clock_off(world: World, dice: Random) -> AsyncIterator[Hit]:
    """One member is started again with its clock an hour fast or slow, and later with the right one."""
    if not library():
        raise MissedError("libfaketime is not on this machine")
    try:
        member = world.any()
    except LookupError as error:
        raise MissedError(str(error)) from None
    offset = dice.choice([HOUR_SECONDS, -HOUR_SECONDS])
    await world.drain(member)
    world.note_death(member)
    world.begin(member, LD_PRELOAD=library(), FAKETIME=f"{offset:+d}s")
    yield Hit(dice.uniform(3, 6), detail=f"{member.name} {offset:+d} s")
    await world.drain(member)
    world.note_death(member)
    world.begin(member)
