"""What handlers leave with their jobs while they run (shared/sql/effects.sql): one typed method a query."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from shared.database import Database, Databases
from shared.models import RawJson
from shared.queries import load

SQL = load("effects")


class Owner(NamedTuple):
    """An attempt of a job under a lease: it may write as long as the job is its own."""

    job_id: str
    attempt: int
    lease_id: str


class Reservation(NamedTuple):
    """An effect as it stands. Field order is that of the query `reserve`."""

    attempt: int  # that began it last
    lease_id: str | None
    began_at: datetime
    is_done: bool
    result: RawJson | None


class EffectView(msgspec.Struct, frozen=True):
    """An effect as people see it. Field order is that of the query `effects_of`."""

    key: str
    state: str  # done, running, uncertain
    attempt: int
    began_at: datetime
    done_at: datetime | None
    result: msgspec.Raw | None


class EffectStore:
    """Effects and checkpoints. Raises what `Database` raises; every method may be repeated when its answer was lost."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def reserve(self, owner: Owner, key: str) -> Reservation | None:
        """Reserve an effect, or find out how it stands; None when the job is not the owner's any more."""
        rows = await self._any().fetch(SQL["reserve"], *owner, key)
        return Reservation(*rows[0]) if rows else None

    async def take_over(self, owner: Owner, key: str, attempt: int) -> bool:
        """Make the uncertain effect of an earlier `attempt` the owner's; False when it is not that any more."""
        return bool(await self._any().fetch(SQL["take_over"], *owner, key, attempt))

    async def record(self, owner: Owner, key: str, result: RawJson) -> bool:
        """Say that the owner's effect happened; False when it is not the owner's any more."""
        return bool(await self._any().fetch(SQL["record"], *owner, key, result))

    async def release(self, owner: Owner, key: str) -> bool:
        """Say that the owner's effect did not happen."""
        return bool(await self._any().fetch(SQL["release"], *owner, key))

    async def save_checkpoint(self, owner: Owner, data: RawJson) -> bool:
        """Keep `data` for the next attempt; False when the job is not the owner's any more."""
        return bool(await self._any().fetch(SQL["save_checkpoint"], *owner, data))

    async def effects_of(self, job_id: str) -> list[EffectView]:
        """Return the effects of a job, in the order in which they began."""
        rows = await self._any().fetch(SQL["effects_of"], job_id)
        return [EffectView(**{**row, "result": row["result"] and msgspec.Raw(row["result"])}) for row in rows]

    async def confirm(self, job_id: str, key: str, result: RawJson) -> bool:
        """A person says that an uncertain effect happened; False when it is not uncertain, or the job runs."""
        return bool(await self._any().fetch(SQL["confirm"], job_id, key, result))

    async def deny(self, job_id: str, key: str) -> bool:
        """A person says that an uncertain effect did not happen; False when it is not uncertain, or the job runs."""
        return bool(await self._any().fetch(SQL["deny"], job_id, key))

    def _any(self) -> Database:
        return self._databases.any()


class Report(NamedTuple):
    """How far an attempt has come."""

    owner: Owner
    percent: float
    message: str


class ProgressStore:
    """Progress, in batches. Raises what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, reports: Sequence[Report]) -> set[str]:
        """Show these, at most one a job; return the ids of the jobs that were still their owners'. Waits for rows that others lock."""
        return {row[0] for row in await self._database.fetch(SQL["show_progress"], *_columns(reports))}

    async def show_free(self, reports: Sequence[Report]) -> set[str]:
        """Show these, at most one a job, but for those whose rows others lock right now: their ids are returned."""
        return {row[0] for row in await self._database.fetch(SQL["show_free_progress"], *_columns(reports))}


def _columns(reports: Sequence[Report]) -> list[Sequence[object]]:
    ordered = sorted(reports)  # two batches with the same jobs lock them in the same order
    owners = zip(*(report.owner for report in ordered), strict=True)
    return [*owners, [report.percent for report in ordered], [report.message for report in ordered]]
