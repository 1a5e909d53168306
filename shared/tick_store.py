"""How due ticks become jobs (shared/sql/schedules.sql): locked, decided elsewhere, made and moved on, all in one transaction."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from shared.database import Database, Row, Transaction
from shared.job_store import insert
from shared.models import NewJob, RawJson
from shared.queries import load
from shared.schedule_store import timetable_of
from shared.timetable import Timetable

SQL = load("schedules")
STATEMENT_BYTES = 16 * 1024 * 1024

# Who freezes with schedules locked must not hold them back: PostgreSQL ends its transaction, and another makes the ticks.
IMPATIENT = {"idle_in_transaction_session_timeout": "5s"}


class DueSchedule(NamedTuple):
    """A schedule whose time has come. `next_at` is the oldest tick that nothing has been done about."""

    name: str
    timetable: Timetable
    misfire: str
    overlap: str
    template: RawJson
    next_at: datetime


class Run(NamedTuple):
    """One tick and the job that it makes."""

    schedule: str
    tick: datetime
    job: NewJob


class Advance(NamedTuple):
    """What became of the ticks that were due. Field order is that of the query `advance`."""

    schedule: str
    next_at: datetime | None
    last_tick: datetime | None = None
    last_job_id: str | None = None
    skipped_count: int = 0
    skipped_tick: datetime | None = None
    skipped_reason: str | None = None


class TickStore:
    """Finds and makes what is due over one connection, which should be IMPATIENT. Raises what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def due(self, limit: int, but: Sequence[str] = ()) -> AsyncIterator[tuple[datetime, list[DueSchedule], "Making"]]:
        """Yield PostgreSQL's time and up to `limit` due schedules, none of `but`, locked until the block ends and commits what was made."""
        async with self._database.transaction() as transaction:
            rows = await transaction.fetch(SQL["due"], limit, but)
            [[now]] = await transaction.fetch(SQL["now"])
            yield now, [_due(row) for row in rows], Making(transaction)

    async def next_due_in(self, but: Sequence[str] = ()) -> float | None:
        """Return the seconds until the next tick of any schedule that is none of `but`, None without one."""
        seconds: float | None = await self._database.fetch_value(SQL["next_due"], but)
        return seconds


class Making:
    """The open transaction of `due`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def busy(self, names: Sequence[str]) -> set[str]:
        """Return those of these schedules that have a job which is not over."""
        return {row[0] for row in await self._transaction.fetch(SQL["busy"], names)} if names else set()

    async def make(self, runs: Sequence[Run]) -> list[Run]:
        """Insert the jobs of ticks that have none yet; return those."""
        if not runs:
            return []
        schedules, moments, jobs = zip(*sorted(runs, key=lambda run: (run.schedule, run.tick)), strict=True)
        rows = await self._transaction.fetch(SQL["note_runs"], [job.id for job in jobs], schedules, moments)
        fresh = {row[0] for row in rows}
        made = [run for run in runs if run.job.id in fresh]
        for part in _parts([run.job for run in made]):
            await insert(self._transaction, part)
        return made

    async def advance(self, moves: Sequence[Advance]) -> None:
        """Note what became of the due ticks, and which is next."""
        if moves:
            await self._transaction.fetch(SQL["advance"], *zip(*moves, strict=True))


def _parts(jobs: Sequence[NewJob]) -> Iterator[list[NewJob]]:
    """Many ticks of one large payload are more than one statement can hold."""
    part: list[NewJob] = []
    size = 0
    for job in jobs:
        part.append(job)
        size += len(bytes(job.payload))
        if size > STATEMENT_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _due(row: Row) -> DueSchedule:
    return DueSchedule(row["name"], timetable_of(row), row["misfire"], row["overlap"], row["template"], row["next_at"])
