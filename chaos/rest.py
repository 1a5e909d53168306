"""Whether all is over: no job, no entry, no ghost is left, and the books agree."""

from collections.abc import Mapping, Sequence

from chaos.errors import NotInTimeError
from chaos.history import pid_of
from chaos.servers import until
from chaos.world import World
from shared.broker import REAPER
from shared.errors import UnavailableError

OPEN = "SELECT status::text, count(*) FROM jobs WHERE finished_at IS NULL GROUP BY 1"
DEAD = "SELECT id::text, attempts FROM jobs WHERE status = 'FAILED'"
UNPLACED = "SELECT count(*) FROM dead_letters WHERE entry_id IS NULL"
LIVE = "SELECT worker FROM leases WHERE dead_at IS NULL"
COUNTED = "SELECT status::text, sum(n)::bigint FROM job_counts GROUP BY 1 HAVING sum(n) <> 0"
COUNTS = "SELECT status::text, count(*) FROM jobs GROUP BY 1"
Left = Mapping[str, Sequence[str]]  # sentences by what they are about; one that is not there has none


async def rest(world: World, patience: float) -> Left:
    """Wait until all is over and Redis is empty; return what is left when that does not come."""
    left: Left = {}

    async def over() -> bool:
        nonlocal left
        try:
            left = await left_over(world)
        except UnavailableError as error:
            left = {"entries": [str(error)]}
        return not left

    try:
        await until(over, patience, "all jobs are over")
    except NotInTimeError:
        return left or {"entries": ["the stores did not answer"]}
    world.journal.note("rest")
    return {}


async def left_over(world: World) -> Left:
    """What is there that should not be when all is over. Raises UnavailableError."""
    jobs = [f"{count} jobs {status}" for status, count in await world.database.fetch(OPEN)]
    entries = [f"{depth} entries in {name}" for name, depth in (await world.broker.depths()).items() if depth and name != "dlq"]
    found = {"jobs": jobs, "entries": entries, "ghosts": await _ghosts(world), "books": [*await _letters(world), *await _counters(world)]}
    return {shelf: sentences for shelf, sentences in found.items() if sentences}


async def _ghosts(world: World) -> Sequence[str]:
    live = {row[0] for row in await world.database.fetch(LIVE)}
    pids = {member.pid for member in world.alive()}
    dead = sorted(worker for worker in live if pid_of(worker) not in pids)
    ghosts = sorted(await world.broker.consumers() - live - {REAPER})
    return [f"{worker} is dead and has a lease" for worker in dead] + [f"{worker} is dead and in the group" for worker in ghosts]


async def _letters(world: World) -> Sequence[str]:
    letters = [(letter.job_id, letter.attempts) async for letter in world.broker.letters.all()]
    failed = [(row[0], row[1]) for row in await world.database.fetch(DEAD)]
    unplaced = await world.database.fetch_value(UNPLACED)
    differ = [f"{len(letters)} letters in the DLQ stream, {len(failed)} jobs FAILED"] if sorted(letters) != sorted(failed) else []
    return differ + ([f"{unplaced} letters without a place"] if unplaced else [])


async def _counters(world: World) -> Sequence[str]:
    sums = {row[0]: row[1] for row in await world.database.fetch(COUNTED)}
    counts = {row[0]: row[1] for row in await world.database.fetch(COUNTS)}
    return [f"the counters say {sums}, there are {counts}"] if sums != counts else []


async def ghosts_left(world: World) -> Left:
    """Consumers that are still in the groups when all processes have drained."""
    try:
        ghosts = sorted(await world.broker.consumers() - {REAPER})
    except UnavailableError as error:
        return {"ghosts": [str(error)]}
    return {"ghosts": [f"{worker} is in the group after the end" for worker in ghosts]} if ghosts else {}
