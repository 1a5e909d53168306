"""Whether all is over: no job, no entry, no ghost is left, and the books agree."""

from typing import Any

from chaos.errors import NotInTimeError
from chaos.history import pid_of
from chaos.servers import until
from chaos.world import World
from shared.broker import REAPER
from shared.errors import UnavailableError

OPEN = "SELECT status::text, count(*) FROM jobs WHERE finished_at IS NULL GROUP BY 1"


async def rest(world: World, patience: float) -> dict[str, Any]:
    """Wait until all is over and Redis is empty; return what is left when that does not come."""
    left: dict[str, Any] = {"nothing is known": "the stores did not answer"}

    async def over() -> bool:
        nonlocal left
        try:
            left = await left_over(world)
        except UnavailableError as error:
            left = {"unavailable": str(error)}
        return not left

    try:
        await until(over, patience, "all jobs are over")
    except NotInTimeError:
        return left
    world.journal.note("rest")
    return {}


async def left_over(world: World) -> dict[str, Any]:
    """What is there that should not be when all is over. Raises UnavailableError."""
    fetch = world.database.fetch
    found: dict[str, Any] = {f"{row[0]} jobs": row[1] for row in await fetch(OPEN)}
    depths = await world.broker.depths()
    found |= {f"entries in {name}": depth for name, depth in depths.items() if depth and name != "dlq"}
    letters = [(letter.job_id, letter.attempts) async for letter in world.broker.letters.all()]
    failed = {row[0]: row[1] for row in await fetch("SELECT id::text, attempts FROM jobs WHERE status = 'FAILED'")}
    if sorted(letters) != sorted(failed.items()):
        found["letters"] = f"{len(letters)} in the DLQ stream, {len(failed)} jobs FAILED"
    if unplaced := await world.database.fetch_value("SELECT count(*) FROM dead_letters WHERE entry_id IS NULL"):
        found["letters without a place"] = unplaced
    live = {row[0] for row in await fetch("SELECT worker FROM leases WHERE dead_at IS NULL")}
    pids = {member.pid for member in world.alive()}
    if dead := sorted(worker for worker in live if pid_of(worker) not in pids):
        found["leases of workers that are dead"] = dead
    if ghosts := await world.broker.consumers() - live - {REAPER}:
        found["consumers of dead workers"] = sorted(ghosts)
    sums = {row[0]: row[1] for row in await fetch("SELECT status::text, sum(n)::bigint FROM job_counts GROUP BY 1 HAVING sum(n) <> 0")}
    counts = {row[0]: row[1] for row in await fetch("SELECT status::text, count(*) FROM jobs GROUP BY 1")}
    if sums != counts:
        found["counters"] = f"{sums} for {counts}"
    return found


async def ghosts_left(world: World) -> dict[str, Any]:
    """Consumers that are still in the groups when all processes have drained."""
    try:
        ghosts = await world.broker.consumers() - {REAPER}
    except UnavailableError as error:
        return {"unavailable": str(error)}
    return {"consumers after the end": sorted(ghosts)} if ghosts else {}
