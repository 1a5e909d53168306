"""A rolling upgrade under load: one process after the other is told to end and is started again."""

from collections.abc import AsyncIterator
from random import Random

from chaos.faults.fault import Hit, fault
from chaos.world import World


@fault("upgrade.rolling", "upgrade")
async def rolling(world: World, dice: Random) -> AsyncIterator[Hit]:
    """All members, in any order."""
    members = world.alive()
    dice.shuffle(members)
    for member in members:
        if member.wanted:
            await world.drain(member)
            world.note_death(member)
            world.begin(member)
    yield Hit(detail=f"{len(members)} processes")
