"""The dead-letter queue in PostgreSQL (shared/sql/dlq.sql): find, replay and purge many dead jobs at a time.

Each call locks the letters that it works on, so whoever replays or purges the same ones meanwhile gets the others or none.
"""

from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from shared.database import Database
from shared.job_views import Filter, conditions
from shared.lifecycle import Status
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
        """Return the ids of up to `limit` dead jobs, oldest first."""
        where, args = conditions(replace(wanted, status=[Status.FAILED]))
        return [row[0] for row in await self._database.fetch(SQL["matching"].format(where=where, limit=len(args) + 1), *args, limit)]

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
