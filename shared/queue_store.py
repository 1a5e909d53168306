"""Queues in PostgreSQL (shared/sql/queues.sql): which exist, and which are paused."""

from typing import NamedTuple

import msgspec

from shared.database import Database
from shared.models import Moment
from shared.queries import load

SQL = load("queues")


class Queue(NamedTuple):
    """One queue."""

    name: str
    paused: bool


class QueueView(msgspec.Struct, frozen=True):
    """A queue as clients see it. Field order is that of the query `overview`."""

    name: str
    paused: bool
    counts: dict[str, int]  # by status
    oldest_age_seconds: float  # of the job that has been due for longest; 0 without one
    workers: int  # live ones that serve it
    updated_at: Moment


class QueueStore:
    """Raises what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Queue]:
        """Every queue, by name."""
        return [Queue(*row) for row in await self._database.fetch(SQL["queues"])]

    async def overview(self) -> list[QueueView]:
        """Every queue with what is in it."""
        rows = await self._database.fetch(SQL["overview"])
        return [QueueView(row[0], row[1], msgspec.json.decode(row[2]), *row[3:]) for row in rows]

    async def pause(self, name: str, *, paused: bool) -> None:
        """Pause or resume a queue, which need not exist yet. Workers hear of it within two seconds."""
        await self._database.fetch(SQL["pause"], name, paused)
