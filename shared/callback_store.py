"""What calls back, as PostgreSQL knows it (shared/sql/callbacks.sql)."""

from collections.abc import Sequence

from shared.database import Database
from shared.models import Due
from shared.queries import load

SQL = load("callbacks")
PAGE = 1000


class CallbackStore:
    """The outbox, and who waits for what. Raises what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_outbox(self) -> tuple[int, list[Due]]:
        """Take one page out of the outbox; return how many jobs that were, and those of them that wait to run."""
        rows = await self._database.fetch(SQL["take_outbox"], PAGE)
        return len(rows), [Due(*row) for row in rows if row["lane"] is not None]

    async def ended(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the final states of those of these jobs that are over, by id."""
        return {row["id"]: row["status"] for row in await self._database.fetch(SQL["ended"], ids)}
