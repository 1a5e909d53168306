"""The dead-letter queue in PostgreSQL (shared/sql/dlq.sql): find, replay and purge many dead jobs at a time.

Each call locks the letters that it works on, so whoever replays or purges the same ones meanwhile gets the others or none.
"""

from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from shared.database import Database
from shared.job_filter import Filter, bounds, conditions, narrow
from shared.job_search import FIRST_STRETCH, SECONDS, Pace
from shared.models import Replayed
from shared.queries import load

SQL = load("dlq")
MOVES = load("jobs")

Places = dict[str, str | None]  # job id: place of its letter in the DLQ stream, None when it is not known


class DlqStore:
    """Works on the dead-letter queue over one connection. Raises what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def matching(self, wanted: Filter, limit: int) -> list[str]:
        """Return the ids of up to `limit` dead jobs, oldest first, however many letters have to be looked at."""
        return (await self._search(wanted, limit, float("inf")))[0]

    async def preview(self, wanted: Filter, limit: int) -> tuple[list[str], bool]:
        """The same for who only looks: return what was found in a short time, and whether that is all that there is."""
        return await self._search(wanted, limit, SECONDS)

    async def _search(self, wanted: Filter, limit: int, seconds: float) -> tuple[list[str], bool]:
        (low, high), pace, found = bounds(wanted), Pace(FIRST_STRETCH, seconds), list[str]()
        if wanted.ids is not None or not narrow(wanted):  # nothing is looked at in vain
            return await self._matching_within(wanted, (low, high), limit), True
        while length := pace.stretch():
            milestone = await self._database.fetch_value(SQL["milestone"], low, high, length)
            found += await self._matching_within(wanted, (low, milestone or high), limit - len(found))
            if milestone is None or len(found) == limit:
                return found, milestone is None and len(found) < limit
            low = milestone
        return found, False

    async def _matching_within(self, wanted: Filter, within: tuple[str, str], limit: int) -> list[str]:
        ids, others = wanted.ids, replace(wanted, ids=None)
        where, args = conditions(others, first=4)
        chosen = "true" if ids is None else f"job_id = ANY(${4 + len(args)}::uuid[])"
        query = SQL["matching"].format(wanted=SQL["wanted"].format(where=where) if args else "", chosen=chosen)
        return [row[0] for row in await self._database.fetch(query, *within, limit, *args, *([] if ids is None else [ids]))]

    async def replay(self, ids: Sequence[str]) -> list[Replayed]:
        """Run those of these jobs again that are dead now. One that somebody has replayed and cancelled meanwhile stays cancelled."""
        async with self._database.transaction() as transaction:
            dead = [row[0] for row in await transaction.fetch(SQL["lock_letters"], ids)]
            return [Replayed(*row) for row in await transaction.fetch(MOVES["replay"], dead)] if dead else []

    async def purge(self, ids: Sequence[str], forget_letters: Callable[[Places], Awaitable[None]]) -> list[str]:
        """Delete those of these jobs that are dead now, with letter and history; return their ids.

        `forget_letters` removes them from the DLQ stream; what it raises leaves the jobs where they are.
        """
        async with self._database.transaction() as transaction:
            dead = [row[0] for row in await transaction.fetch(SQL["lock_letters"], ids)]
            places: Places = dict(await transaction.fetch(SQL["purge"], dead)) if dead else {}  # type: ignore[arg-type]
            if places:
                await forget_letters(places)
        return list(places)
