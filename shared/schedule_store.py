"""Schedules as people put and see them (shared/sql/schedules.sql). What makes their jobs is shared/tick_store.py."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from shared.database import Database, Row, Transaction
from shared.job_store import insert
from shared.job_template import job_from
from shared.models import NewJob, RawJson
from shared.queries import load
from shared.timetable import Timetable, next_tick

SQL = load("schedules")
_LOOK = f"SELECT {SQL['columns']} FROM schedules"  # noqa: S608 - our own text


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants: which job, when, and what to do when that did not work out."""

    name: str
    timetable: Timetable
    misfire: str = "coalesce"
    overlap: str = "allow"
    template: RawJson


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule and what became of it so far. `next_at` is None when it never runs again."""

    schedule: Schedule
    paused: bool
    next_at: datetime | None
    last_tick: datetime | None
    last_job_id: str | None
    skipped_count: int
    skipped_tick: datetime | None
    skipped_reason: str | None
    created_at: datetime
    updated_at: datetime


class Seen(NamedTuple):
    """Schedules at one moment of PostgreSQL's clock, and the states of the last jobs that are still kept, by id."""

    now: datetime
    schedules: Sequence[Stored]
    statuses: Mapping[str, str]


class ScheduleStore:
    """Puts, pauses, triggers and shows schedules over one connection. Raises what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, new: Schedule, paused: bool | None) -> bool:
        """Create or replace; True: there was none. `paused` None leaves a known one as it is. Raises ValueError when it could never run."""
        async with self._database.transaction() as transaction:
            now, old = await _locked(transaction, new.name)
            was_paused = old is not None and old.paused
            paused = was_paused if paused is None else paused
            next_at = planned(new.timetable, old, now, resumed=was_paused and not paused)
            timetable = (new.timetable.cron, new.timetable.every, new.timetable.at, new.timetable.timezone)
            await transaction.fetch(SQL["put"], new.name, *timetable, new.misfire, new.overlap, paused, new.template, next_at)
        return old is None

    async def set_paused(self, name: str, *, paused: bool) -> bool:
        """Pause or resume; False: there is none of that name. What would have run during the pause is passed over."""
        async with self._database.transaction() as transaction:
            now, old = await _locked(transaction, name)
            if old is not None and old.paused != paused:
                next_at = planned(old.schedule.timetable, old, now, resumed=not paused)
                await transaction.fetch(SQL["set_paused"], name, paused, next_at)
        return old is not None

    async def delete(self, name: str) -> bool:
        """Forget a schedule; False: there is none of that name."""
        return bool(await self._database.fetch(SQL["delete"], name))

    async def trigger(self, name: str) -> NewJob | None:
        """Make its job once, now, paused or not; None: there is none of that name. It is not published yet."""
        async with self._database.transaction() as transaction:
            _, found = await _locked(transaction, name)
            if found is None:
                return None
            job = job_from(found.schedule.template)
            [[tick]] = await transaction.fetch(SQL["note_trigger"], job.id, name)
            await insert(transaction, [job])
            await transaction.fetch(SQL["note_last"], name, tick, job.id)
        return job

    async def now(self) -> datetime:
        """Return PostgreSQL's time, by which schedules run."""
        now: datetime = await self._database.fetch_value(SQL["now"])
        return now

    async def get(self, name: str) -> Seen:
        """Return that schedule, or none."""
        return await self._seen(f"{_LOOK} WHERE name = $1", name)

    async def page(self, after: str, limit: int) -> Seen:
        """Return up to `limit` schedules whose names sort after `after`."""
        return await self._seen(f"{_LOOK} WHERE name > $1 ORDER BY name LIMIT $2", after, limit)

    async def _seen(self, query: str, *args: object) -> Seen:
        now = await self.now()
        found = [_stored(row) for row in await self._database.fetch(query, *args)]
        rows = await self._database.fetch(SQL["last_jobs"], sorted(item.last_job_id for item in found if item.last_job_id))
        return Seen(now, found, {row["id"]: row["status"] for row in rows})


def planned(timetable: Timetable, old: Stored | None, now: datetime, *, resumed: bool) -> datetime | None:
    """Return the next tick of a schedule that is put or resumed. The same timetable again changes nothing: `every` keeps its step.

    Raises ValueError when there is none for a new timetable.
    """
    if old is not None and old.schedule.timetable == timetable:
        return next_tick(timetable, now, old.next_at or now) if resumed else old.next_at
    first = next_tick(timetable, now, now)
    if first is None:
        raise ValueError("is over already")
    return first


async def _locked(transaction: Transaction, name: str) -> tuple[datetime, Stored | None]:
    await transaction.fetch(SQL["impatient"])
    rows = await transaction.fetch(f"{_LOOK} WHERE name = $1 FOR UPDATE", name)
    [[now]] = await transaction.fetch(SQL["now"])
    return now, _stored(rows[0]) if rows else None


def timetable_of(row: Row) -> Timetable:
    """Return the timetable in a row."""
    return Timetable(cron=row["cron"], every=row["every_seconds"], at=row["at"], timezone=row["timezone"])


def _stored(row: Row) -> Stored:
    schedule = Schedule(
        name=row["name"], timetable=timetable_of(row), misfire=row["misfire"], overlap=row["overlap"], template=row["template"]
    )
    return Stored(
        schedule=schedule,
        paused=row["paused"],
        next_at=row["next_at"],
        last_tick=row["last_tick"],
        last_job_id=row["last_job_id"],
        skipped_count=row["skipped_count"],
        skipped_tick=row["skipped_tick"],
        skipped_reason=row["skipped_reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
