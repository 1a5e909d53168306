"""What Redis should hold, as PostgreSQL knows it (shared/sql/dispatch.sql)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from shared.database import Database, Transaction
from shared.ids import floor_id, parse_id
from shared.keys import split_lane
from shared.models import Due, Letter, Placed
from shared.queries import load

SQL = load("dispatch")
PAGE = 1000
HORIZON_SECONDS = 3600.0  # what is due later waits in PostgreSQL and costs Redis nothing


class DispatchStore:
    """Finds what dispatch lost, and keeps house. Raises what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def moment(self, seconds_ago: float) -> datetime:
        """Return PostgreSQL's time, so many seconds ago."""
        when: datetime = await self._database.fetch_value(SQL["moment"], seconds_ago)
        return when

    async def undelivered(self, lane: str, before: datetime) -> list[str]:
        """One page of jobs of a lane that have been due and untouched since `before`; the call touches them."""
        return [row[0] for row in await self._database.fetch(SQL["undelivered"], *split_lane(lane), before, PAGE)]

    async def due_soon(self, lane: str, after: datetime, until: datetime) -> AsyncIterator[list[Due]]:
        """Pages of the waiting jobs of a lane that become due in (after, until]."""
        last_id = "ffffffff-ffff-ffff-ffff-ffffffffffff"
        while rows := await self._database.fetch(SQL["due_soon"], *split_lane(lane), after, until, last_id, PAGE):
            yield [Due(row["id"], row["lane"], row["due_in"]) for row in rows]
            after, last_id = rows[-1]["run_at"], rows[-1]["id"]

    async def orphans(self) -> list[str]:
        """One page of jobs that run under a dead lease."""
        return [row[0] for row in await self._database.fetch(SQL["orphans"], PAGE)]

    @asynccontextmanager
    async def unplaced_letters(self, older_than: float) -> AsyncIterator[tuple[list[Letter], "Placing"]]:
        """One page of dead letters that may be missing in the DLQ stream, locked until the block ends."""
        async with self._database.transaction() as transaction:
            rows = await transaction.fetch(SQL["unplaced_letters"], older_than, PAGE)
            yield [Letter(*row) for row in rows], Placing(transaction)

    async def oldest_unplaced(self, older_than: float) -> datetime | None:
        """Return when the oldest letter died that is not known to be in the DLQ stream; None without one."""
        when: datetime | None = await self._database.fetch_value(SQL["oldest_unplaced"], older_than)
        return when

    async def note_places(self, found: Sequence[Placed]) -> None:
        """Note where letters are in the DLQ stream, where no place is known and no rival is at work."""
        known = [(letter.place, known_id, letter.attempts) for letter in found if (known_id := parse_id(letter.job_id))]
        if known:
            await self._database.fetch(SQL["note_places"], *map(list, zip(*known, strict=True)))

    async def place_letters(self, placed: Sequence[Placed]) -> set[str]:
        """Note where these letters are in the DLQ stream; return the jobs whose letters had no other place and whose deaths these are."""
        return {row[0] for row in await self._database.fetch(SQL["place_letters"], *_columns(placed))}

    async def unplace_all(self) -> None:
        """Forget where letters are: the DLQ stream is gone."""
        await self._database.fetch(SQL["unplace_all"])

    async def count_placed(self) -> int | None:
        """How many letters the DLQ stream should hold; None while some are on their way there."""
        count: int | None = await self._database.fetch_value(SQL["count_placed"])
        return count

    async def placed(self) -> AsyncIterator[dict[str, str]]:
        """Pages of the noted places by job id."""
        last_id = "00000000-0000-0000-0000-000000000000"
        while rows := await self._database.fetch(SQL["placed"], last_id, PAGE):
            yield {row[0]: row[1] for row in rows}
            last_id = rows[-1][0]

    async def unplace(self, places: dict[str, str]) -> None:
        """Forget these places, by job id, of letters that are not there."""
        await self._database.fetch(SQL["unplace"], list(places), list(places.values()))

    async def strays(self, jobs: dict[str, str]) -> list[str]:
        """Of these places, with the job ids of the letters found there, return those that no letter should be at."""
        known = {place: known_id for place, job_id in jobs.items() if (known_id := parse_id(job_id))}
        return [row[0] for row in await self._database.fetch(SQL["strays"], list(known), list(known.values()))]

    async def epoch(self, stream: str) -> str | None:
        """Return the value that Redis should hold, None before the first start."""
        value: str | None = await self._database.fetch_value(SQL["epoch"], stream)
        return value

    async def run_id(self, stream: str) -> str | None:
        """Return the life of Redis in which the DLQ stream was last compared with the table; None: in none."""
        value: str | None = await self._database.fetch_value(SQL["run_id"], stream)
        return value

    async def set_run_id(self, stream: str, run_id: str) -> None:
        """Keep the life in which it was just compared."""
        await self._database.fetch(SQL["set_run_id"], stream, run_id)

    async def set_epoch(self, stream: str, epoch: str) -> None:
        """Keep the value that Redis was just given."""
        await self._database.fetch(SQL["set_epoch"], stream, epoch)

    async def fold_counts(self) -> None:
        """Sum up the counters of moves: until the next call there are no more of them than moves since, and a few a second."""
        await self._database.fetch(SQL["fold_counts"])

    async def forget_finished(self, retention_seconds: float, forget_letters: Callable[[list[str]], Awaitable[None]]) -> int:
        """Delete up to 5 pages of jobs that finished so long ago; return how many.

        `forget_letters` gets the places of their letters in the DLQ stream; what it raises leaves the jobs where they are.
        """
        old = await self.moment(retention_seconds)
        async with self._database.transaction() as transaction:
            rows = await transaction.fetch(SQL["forget_finished"], floor_id(old.timestamp()), retention_seconds, 5 * PAGE)
            if places := [row["entry_id"] for row in rows if row["entry_id"]]:
                await forget_letters(places)
        return len(rows)

    async def forget_runs(self, retention_seconds: float) -> int:
        """Delete up to 5 pages of notes which schedule made a job, when the job is forgotten; return how many."""
        old = await self.moment(retention_seconds)
        return len(await self._database.fetch(SQL["forget_runs"], floor_id(old.timestamp()), 5 * PAGE))

    async def existing(self, job_ids: Sequence[str]) -> set[str]:
        """Return those of these jobs that there are."""
        return {row[0] for row in await self._database.fetch(SQL["existing"], job_ids)}

    async def forget_keys(self) -> None:
        """Delete idempotency keys whose time is over."""
        await self._database.fetch(SQL["forget_keys"], 5 * PAGE)


class Placing:
    """The open transaction of `unplaced_letters`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def place(self, placed: Sequence[Placed]) -> None:
        """Note where these letters are now."""
        await self._transaction.fetch(SQL["place_letters"], *_columns(placed))


def _columns(placed: Sequence[Placed]) -> tuple[list[str], list[str], list[int]]:
    return [letter.job_id for letter in placed], [letter.place for letter in placed], [letter.attempts for letter in placed]
