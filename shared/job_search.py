"""Finds the jobs of a list, newest first, in bounded time.

Only a few questions have an index (ADR 5). For the others jobs are looked at, from the newest on, one stretch of ids after the other; when
the time is up the search is broken off and says how far it has come, so that the next page goes on there. A page may then be short.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from shared.database import Database, Row
from shared.job_filter import Filter, bounds, conditions, narrow, only_dead, only_open, without_status
from shared.queries import load

SQL = load("views")
MOST_PAGE_BYTES = 8 * 1024 * 1024
SECONDS = 0.015  # of searching, beside what finding and sending a full page takes
FEW_OPEN = 5000  # open jobs that are sorted rather than walked past
FIRST_STRETCH = 1000
FIRST_STRETCH_OF_TEXT = 100  # there may be payloads of a megabyte


class Found(NamedTuple):
    """A page as rows. `last_id`: where the next one goes on, None at the end; `partial`: broken off before the page was full."""

    found: list[Row]
    last_id: str | None
    partial: bool


class Pace:
    """How many jobs to look at next, so that all stretches together take about `seconds`. The first one is always allowed."""

    def __init__(self, first: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._first = first
        self._seconds = seconds
        self._clock = clock
        self._began = clock()
        self._looked_at = 0

    def stretch(self) -> int:
        """Return the length of the next stretch; 0 when the time is up."""
        length = self._affordable() if self._looked_at else self._first
        self._looked_at += length
        return length

    def _affordable(self) -> int:
        """Ten times as many as until now at most: one large payload among the first says little about the others."""
        spent = max(self._clock() - self._began, 1e-6)
        length = int(min(self._looked_at / spent * (self._seconds - spent), self._looked_at * 10))
        return length if length >= self._first else 0


async def search(database: Database, wanted: Filter, limit: int) -> Found:
    """Return the newest `limit` jobs that are wanted, or what was found of them in time. Raises what `Database` raises."""
    dead = only_dead(wanted)
    way = "_dead" if dead else await _way(database, wanted)
    if dead:
        wanted = without_status(wanted)
    low, high = bounds(wanted)
    if way not in {"", "_dead"} or not narrow(wanted):
        return await _whole(database, wanted, way, (low, high), limit)
    return await _stretches(database, wanted, way, (low, high), limit)


async def _way(database: Database, wanted: Filter) -> str:
    """Return which of the walks leads to the wanted jobs soonest."""
    if wanted.schedule is not None:
        return "_any"  # an index has the jobs of a schedule
    if only_open(wanted) and await database.fetch_value(SQL["open"]) <= FEW_OPEN:
        return "_open"
    return ""


async def _whole(database: Database, wanted: Filter, way: str, within: tuple[str, str], limit: int) -> Found:
    rows = await _page(database, wanted, way, within, limit + 1, MOST_PAGE_BYTES)
    return _cut(rows, limit, bool(rows) and rows[0]["found"] > len(rows))


async def _stretches(database: Database, wanted: Filter, way: str, within: tuple[str, str], limit: int) -> Found:
    low, high = within
    found: list[Row] = []
    room = MOST_PAGE_BYTES
    pace = Pace(FIRST_STRETCH if wanted.q is None else FIRST_STRETCH_OF_TEXT, SECONDS)
    while length := pace.stretch():
        milestone = await database.fetch_value(SQL[f"milestone{way}"], low, high, length)
        rows = await _page(database, wanted, way, (milestone or low, high), limit + 1 - len(found), room)
        found += rows
        room -= sum(map(_size, rows))
        was_cut = room <= 0 or (bool(rows) and rows[0]["found"] > len(rows))
        if milestone is None or was_cut or len(found) > limit:
            return _cut(found, limit, was_cut)
        high = milestone
    return Found(found, high, partial=True)


async def _page(database: Database, wanted: Filter, way: str, within: tuple[str, str], limit: int, most: int) -> list[Row]:
    where, args = conditions(wanted, first=5)
    return await database.fetch(page_query(way, where), *within, limit, most, *args)


def page_query(way: str, where: str) -> str:
    """Return the query of a page along one of the walks."""
    order = "job_id" if way == "_dead" else "id"
    return SQL["page"].format(columns=SQL["columns"], walk=SQL[f"walk{way}"], where=where, order=order)


def _size(row: Row) -> int:
    return sum(len(row[name] or b"") for name in ("payload", "result", "progress"))


def _cut(rows: list[Row], limit: int, was_cut: bool) -> Found:
    kept = rows[:limit]
    return Found(kept, kept[-1]["id"] if was_cut or len(rows) > limit else None, partial=False)
