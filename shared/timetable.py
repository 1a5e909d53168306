"""When a schedule runs: pure functions of its definition and of moments that PostgreSQL told. Every moment is aware and in UTC."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from cronsim import CronSim, CronSimError

MOST_DUE = 1000  # ticks that are looked at after an outage; older ones are gone
INSTANT = timedelta(microseconds=1)
SHIFT = timedelta(hours=3)  # more than any clock is put back or forward


class Timetable(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of `cron` (five fields, or six with seconds first), `every` (seconds) and `at`. cron's clock hangs in `timezone`."""

    cron: str | None = None
    every: float | None = None
    at: datetime | None = None
    timezone: str = "UTC"


def ticks(timetable: Timetable, after: datetime, anchor: datetime) -> Iterator[datetime]:
    """Every tick later than `after`, in order. `anchor` is where the steps of `every` are counted from.

    Five cron fields follow Debian's cron: a local time that the clock jumps over runs right after the jump, one that comes twice runs the
    first time; with `*` for minute or hour, or with six fields, what runs is what the clock on the wall shows.
    """
    if timetable.at is not None:
        return iter([timetable.at] if timetable.at > after else [])
    if timetable.every is not None:
        return _steps(timedelta(seconds=timetable.every), after, anchor)
    return _cron_ticks(timetable, after)


def next_tick(timetable: Timetable, after: datetime, anchor: datetime) -> datetime | None:
    """Return the first tick later than `after`, None when there is none any more."""
    return next(ticks(timetable, after, anchor), None)


def due_ticks(timetable: Timetable, since: datetime, now: datetime, most: int = MOST_DUE) -> list[datetime]:
    """Return the ticks from `since`, which is the first of them, to `now`, oldest first; of more than `most` only the newest ones."""
    due = list(islice(_until(now, ticks(timetable, since - INSTANT, since)), most + 1))
    if len(due) <= most:
        return due
    return list(deque(_until(now, ticks(timetable, max(since, _start_of_newest(timetable, now, most)), since)), most))


def check(timetable: Timetable, now: datetime) -> None:
    """Raise ValueError with a sentence when cron is no cron expression, or never fires."""
    if timetable.cron is not None:
        try:
            found = next_tick(timetable, now, now)
        except CronSimError as error:
            raise ValueError(_why(timetable.cron, error)) from error
        if found is None:
            raise ValueError("never fires: there is no such day in the next 50 years")


def knows_zone(name: str) -> bool:
    """Whether that is an IANA time zone that this machine knows. Reads files the first time."""
    return name in _zones() and _zone(name) is not None


def _steps(step: timedelta, after: datetime, anchor: datetime) -> Iterator[datetime]:
    tick = anchor + max(0, (after - anchor) // step + 1) * step
    while True:
        yield tick
        tick += step


def _cron_ticks(timetable: Timetable, after: datetime) -> Iterator[datetime]:
    """Only what is later than the last one counts: CronSim forgets in which of two equal hours it began, and repeats the end of a jump."""
    for local in CronSim(timetable.cron or "", after.astimezone(_zone(timetable.timezone))):
        tick = local.astimezone(UTC)
        if tick > after:
            yield tick
            after = tick


def _until(now: datetime, moments: Iterator[datetime]) -> Iterator[datetime]:
    return takewhile(lambda tick: tick <= now, moments)


def _start_of_newest(timetable: Timetable, now: datetime, most: int) -> datetime:
    """Return a moment after which there are at least `most` ticks until `now`, and not many more.

    Backwards CronSim sees shifts of the clock a little differently, so it only says where to begin.
    """
    if timetable.every is not None:
        return now - most * timedelta(seconds=timetable.every)
    earlier = CronSim(timetable.cron or "", now.astimezone(_zone(timetable.timezone)), reverse=True)
    return list(islice(earlier, 2 * most))[-1].astimezone(UTC) - SHIFT


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # CronSim is faster with the first


def _why(cron: str, error: CronSimError) -> str:
    fields = cron.split()
    if len(fields) not in {5, 6}:
        return f"has {len(fields)} fields; give five (minute, hour, day of month, month, day of week), or six with seconds first"
    *earlier, day, month, weekday = fields
    if _is_cron(*earlier, day, "*", weekday) and _is_cron(*earlier, "*", month, weekday):
        return "never fires: none of these months has that day"
    return f"is no cron expression: {str(error).lower()}"


def _is_cron(*fields: str) -> bool:
    try:
        CronSim(" ".join(fields), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True
