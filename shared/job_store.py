"""The moves of a job in PostgreSQL: one typed method for each query of shared/sql/jobs.sql, in the same order.

Methods are batches and say whom they won: a fenced move returns the jobs that were still ours.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec

from shared.database import Database, Databases, Row, Transaction
from shared.models import Claimed, Due, Lease, Letter, NewJob, RawJson, Reclaimed, Replayed, Seen
from shared.queries import load

SQL = load("jobs")

MANY = 2**31 - 1  # crashes that no job has
Fence = tuple[str, int]  # job id, attempt
Taken = dict[str, tuple[bytes, str]]  # idempotency key: fingerprint and id of the job that has it


_encode = msgspec.json.encode


class JobStore:
    """Moves jobs over one connection, or several that take turns. Raises what `Database` raises."""

    def __init__(self, database: Database | Databases) -> None:
        self._database = database

    async def submit(self, jobs: Sequence[NewJob]) -> list[Due]:
        """Insert and commit; ids that are there already stay as they are. Return those that wait for their time."""
        rows = await self._database.fetch(SQL["submit"], _rows(jobs))
        return _waiting(jobs, rows)

    async def submit_keyed(self, jobs: Sequence[NewJob], ttl: float, check: Callable[[Taken], None]) -> tuple[list[Due], Taken]:
        """Insert jobs, some or all with distinct idempotency keys that are kept `ttl` seconds; all or none.

        Returns those that wait for their time, and for each key that was taken the (fingerprint, id) of the job that has it: such a
        job is not inserted. `check` may refuse what was taken by raising; nothing is stored then.
        """
        keyed = sorted((job for job in jobs if job.idempotency_key), key=lambda job: job.idempotency_key or "")
        async with self._database.transaction() as transaction:
            columns = (
                [job.idempotency_key for job in keyed],
                [job.fingerprint for job in keyed],
                [job.id for job in keyed],
            )
            ours = {row["key"] for row in await transaction.fetch(SQL["reserve_keys"], *columns, ttl)}
            taken = await _holders(transaction, [job.idempotency_key or "" for job in keyed if job.idempotency_key not in ours])
            check(taken)
            fresh = [job for job in jobs if job.idempotency_key not in taken]
            due = await insert(transaction, fresh) if fresh else []
        return due, taken

    async def claim(self, ids: Sequence[str], lease: Lease, types: Sequence[str], crashes_below: int = MANY) -> list[Claimed]:
        """Take the jobs that are due, live, of a known type and nobody's. The rest is not returned; `inspect` says why."""
        rows = await self._database.fetch(SQL["claim"], sorted(ids), lease.id, lease.worker, types, crashes_below)
        return [Claimed(*row) for row in rows]

    async def inspect(self, ids: Sequence[str]) -> dict[str, Seen]:
        """What is known of these jobs, by id; unknown ids are left out."""
        return {row["id"]: Seen(*row) for row in await self._database.fetch(SQL["inspect"], sorted(ids))}

    async def succeed(self, won: Sequence[tuple[str, int, RawJson]], lease_id: str) -> set[str]:
        """Complete (id, attempt, result); return the ids that were still ours."""
        ids, attempts, results = zip(*sorted(won), strict=True)
        return {row[0] for row in await self._database.fetch(SQL["succeed"], ids, attempts, lease_id, results)}

    async def retry(self, failed: Sequence[tuple[str, int, float, str, str]], lease_id: str) -> dict[str, float]:
        """Put (id, attempt, delay, error, traceback) off; return the delay of those that were still ours."""
        ids, attempts, *rest = zip(*sorted(failed), strict=True)
        return {row["id"]: row["due_in"] for row in await self._database.fetch(SQL["retry"], ids, attempts, lease_id, *rest)}

    async def snooze(self, snoozed: Sequence[tuple[str, int, float]], lease_id: str) -> dict[str, float]:
        """Put (id, attempt, delay) off without a failure; return the delay of those that were still ours."""
        ids, attempts, delays = zip(*sorted(snoozed), strict=True)
        return {row["id"]: row["due_in"] for row in await self._database.fetch(SQL["snooze"], ids, attempts, lease_id, delays)}

    async def bury(self, failed: Sequence[tuple[str, int, str, str, str]], lease_id: str) -> dict[str, Letter]:
        """Dead-letter (id, attempt, reason, error, traceback); return the letters of those that were still ours."""
        ids, attempts, *rest = zip(*sorted(failed), strict=True)
        return {row["id"]: Letter(*row) for row in await self._database.fetch(SQL["bury"], ids, attempts, lease_id, *rest)}

    async def hand_back(self, unfinished: Sequence[Fence], lease_id: str) -> set[str]:
        """Make jobs runnable by others as if we never had them; return the ids that were still ours."""
        return await self._fenced("hand_back", unfinished, lease_id)

    async def abort(self, stopped: Sequence[Fence], lease_id: str) -> set[str]:
        """Cancel jobs that were asked to stop; return the ids that were still ours."""
        return await self._fenced("abort", stopped, lease_id)

    async def reclaim(self, ids: Sequence[str], max_crashes: int) -> list[Reclaimed]:
        """Take jobs from dead leases. Those that brought `max_crashes` workers down are dead-lettered."""
        rows = await self._database.fetch(SQL["reclaim"], sorted(ids), max_crashes)
        return [Reclaimed(row["id"], row["lane"], _letter(row) if row["status"] == "FAILED" else None) for row in rows]

    async def cancel(self, ids: Sequence[str]) -> set[str]:
        """Cancel jobs that wait; return the ids that did."""
        return {row[0] for row in await self._database.fetch(SQL["cancel"], sorted(ids))}

    async def request_cancel(self, job_id: str) -> bool:
        """Ask the worker that runs the job to stop it; False when none does."""
        return bool(await self._database.fetch(SQL["request_cancel"], job_id))

    async def cancels_requested(self, ids: Sequence[str]) -> set[str]:
        """Which of these running jobs were asked to stop."""
        return {row[0] for row in await self._database.fetch(SQL["cancels_requested"], sorted(ids))}

    async def expire(self, ids: Sequence[str]) -> set[str]:
        """Cancel waiting jobs whose start deadline passed; return their ids."""
        return {row[0] for row in await self._database.fetch(SQL["expire"], sorted(ids))}

    async def defer(self, ids: Sequence[str], seconds: float) -> dict[str, float]:
        """Let due jobs wait longer without any other change; return their delays."""
        return {row["id"]: row["due_in"] for row in await self._database.fetch(SQL["defer"], sorted(ids), seconds)}

    async def replay(self, ids: Sequence[str]) -> list[Replayed]:
        """Run FAILED and CANCELLED jobs again under their ids; return those that will."""
        return [Replayed(*row) for row in await self._database.fetch(SQL["replay"], sorted(ids))]

    async def _fenced(self, query: str, fences: Sequence[Fence], lease_id: str) -> set[str]:
        ids, attempts = zip(*sorted(fences), strict=True)
        return {row[0] for row in await self._database.fetch(SQL[query], ids, attempts, lease_id)}


async def insert(transaction: Transaction, jobs: Sequence[NewJob]) -> list[Due]:
    """Insert jobs together with whatever else the transaction does. Return those that wait for their time."""
    return _waiting(jobs, await transaction.fetch(SQL["submit"], _rows(jobs)))


def _rows(jobs: Sequence[NewJob]) -> bytes:
    """All rows as one JSON text: asyncpg takes half a microsecond for each element of an array, and rows have fourteen columns."""
    return _encode(sorted(jobs, key=attrgetter("id")))  # two batches with the same ids lock them in the same order


def _waiting(jobs: Sequence[NewJob], rows: Sequence[object]) -> list[Due]:
    if not rows:
        return []
    delays: dict[str, float] = dict(rows)  # type: ignore[arg-type]
    return [Due(job.id, job.lane, delays[job.id]) for job in jobs if job.id in delays]


async def _holders(transaction: Transaction, keys: list[str]) -> Taken:
    rows = await transaction.fetch(SQL["find_keys"], keys) if keys else []
    return {row["key"]: (row["fingerprint"], row["job_id"]) for row in rows}


def _letter(row: Row) -> Letter:
    return Letter(*(row[name] for name in Letter._fields))
