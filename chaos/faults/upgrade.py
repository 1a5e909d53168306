"""A rolling restart under load, as an upgrade does it: one process after the other ends and is started again, in the other version."""

from collections.abc import AsyncIterator
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.member import Member
from chaos.servers import until
from chaos.world import World

READY_SECONDS = 20.0


@fault("upgrade.rolling", "upgrade")
async def rolling(world: World, dice: Random) -> AsyncIterator[Hit]:
    """All members that no other fault has, in any order; each when the one before is ready. Of two versions to that which fewer have."""
    members, done = world.free(), 0
    home = min(world.homes[::-1], key=[member.home for member in world.members].count)
    dice.shuffle(members)
    for member in members:
        if member.wanted and member in world.free():
            with world.holding(member):
                member.home = home
                await _restarted(world, member)
            done += 1
    if not done:
        raise MissedError("no process was there that no other fault had")
    to = f" to {home}" if len(world.homes) > 1 else ""
    yield Hit(detail=f"{done} processes{to}", aim=f"upgrade{to}" if to else "")


async def _restarted(world: World, member: Member) -> None:
    await world.restart(member)

    async def ready() -> bool:
        return await world.serves(member)

    try:
        await until(ready, READY_SECONDS, "it is ready")
    except TimeoutError:
        raise MissedError(f"{member.name} was not ready within {READY_SECONDS:g} s") from None
