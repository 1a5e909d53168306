"""The check at the end: every single accepted job must be COMPLETED."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from time import perf_counter
from urllib.parse import urlencode

import msgspec

from loadtest.load.accepted import Accepted
from loadtest.load.api import Api, AwayError, RefusedError
from loadtest.load.histogram import MOST_US, Histogram
from loadtest.load.watch import Watch

PAGE_JOBS = 1000
POLL_SECONDS = 0.25
MOST_POLL_SECONDS = 2.0
FEW = 100  # jobs that are asked for one by one instead of by pages
EXAMPLES = 5
COMPLETED = "COMPLETED"


class Seen(msgspec.Struct):
    """What the check wants to know of a job; the rest of a page is skipped, not built."""

    id: str
    status: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    error: str | None = None


class _Page(msgspec.Struct):
    jobs: list[Seen]
    next_cursor: str | None


@dataclass
class Verdict:
    """What became of the accepted jobs. Times are PostgreSQL's, so one clock has told them all."""

    accepted: int = 0
    statuses: dict[str, int] = field(default_factory=dict)  # "missing" for jobs that the API does not know
    duplicate_ids: int = 0
    examples: list[str] = field(default_factory=list)
    first_created: datetime | None = None
    last_created: datetime | None = None
    last_finished: datetime | None = None
    waited: Histogram = field(default_factory=Histogram)  # from its commit to the start of its last attempt
    whole: Histogram = field(default_factory=Histogram)  # from its commit to its end
    finished_by_tenth: Counter[int] = field(default_factory=Counter)  # tenths of Unix seconds -> jobs COMPLETED
    pages: int = 0
    verify_seconds: float = 0.0
    problem: str = ""  # why the check is not complete

    @property
    def ok(self) -> bool:
        """Whether every accepted job was seen COMPLETED, and no id was given out twice."""
        return not self.problem and not self.duplicate_ids and self.statuses.get(COMPLETED, 0) == self.accepted

    @property
    def drain_seconds(self) -> float | None:
        """From the commit of the last accepted job to the end of the last one; None without any."""
        if self.last_created is None or self.last_finished is None:
            return None
        return max((self.last_finished - self.last_created).total_seconds(), 0.0)

    @property
    def completed_rate(self) -> float:
        """Jobs completed a second, from the first commit to the last end."""
        if self.first_created is None or self.last_finished is None:
            return 0.0
        seconds = (self.last_finished - self.first_created).total_seconds()
        return self.statuses.get(COMPLETED, 0) / seconds if seconds > 0 else 0.0


class Check:
    """Waits until the jobs seem to be over, then reads them all, once. `stop` ends it early."""

    def __init__(self, api: Api, watch: Watch, accepted: Accepted, types: Sequence[str], queue: str) -> None:
        self._api = api
        self._watch = watch
        self._accepted = accepted
        self._filter = ({"type": types[0]} if len(types) == 1 else {}) | ({"queue": queue} if queue else {})
        self._stop = asyncio.Event()
        self._until = 0.0
        self.verdict = Verdict()

    def stop(self) -> None:
        """Wait no longer."""
        self._stop.set()

    @property
    def phase(self) -> str:
        """What it is doing, in a few words."""
        return f"reading all jobs, {self.verdict.pages:,} pages so far" if self.verdict.pages else "waiting for the jobs to end"

    async def run(self, wait_seconds: float) -> Verdict:
        """Return what became of the jobs. Asks little while they still run: a count every second or so."""
        self._until = perf_counter() + wait_seconds
        await asyncio.to_thread(self._accepted.seal)  # a second or two for a million, and the progress goes on meanwhile
        self.verdict.accepted, self.verdict.duplicate_ids = self._accepted.count, self._accepted.duplicate_count
        pause = POLL_SECONDS
        await self._watch.look()
        while not self._watch.seems_drained(self._accepted.count) and await self._pause(pause):
            await self._watch.look()
            pause = min(pause * 1.5, MOST_POLL_SECONDS)
        await self._verify()
        self._conclude()
        return self.verdict

    async def _verify(self) -> None:
        """Read all of them; then again those that were not over, with pauses longer than the reading."""
        if not self._accepted.count:
            return
        first = True
        while first or any(self._accepted.unfinished()):
            began = perf_counter()
            try:
                await self._read(first=first)
                first = False
            except (AwayError, RefusedError, msgspec.MsgspecError) as error:
                self.verdict.problem = str(error)
            else:
                self.verdict.problem = ""
            took = perf_counter() - began
            self.verdict.verify_seconds += took
            if (first or any(self._accepted.unfinished())) and not await self._pause(max(POLL_SECONDS, 2 * took)):
                return

    async def _read(self, *, first: bool) -> None:
        few = [] if first else list(islice(self._accepted.unfinished(), FEW + 1))
        if 0 < len(few) <= FEW:
            for job_id in few:
                self._note([msgspec.json.decode(await self._api.get(f"/jobs/{job_id}"), type=Seen)])
            return
        oldest = await asyncio.to_thread(self._accepted.oldest, unfinished_only=not first)
        async for page in self._pages():
            self._note(page)
            if (page and page[-1].id <= oldest) or self._stop.is_set():
                return

    async def _pages(self) -> AsyncIterator[list[Seen]]:
        """Newest first, so that older jobs of others are never read. The cursor keeps each page as cheap as the first."""
        query: dict[str, object] = {"limit": PAGE_JOBS, **self._filter}
        cursor: str | None = ""
        while cursor is not None:
            page = msgspec.json.decode(
                await self._api.get(f"/jobs?{urlencode(query | ({'cursor': cursor} if cursor else {}))}"), type=_Page
            )
            self.verdict.pages += 1
            yield page.jobs
            cursor = page.next_cursor

    def _note(self, jobs: Sequence[Seen]) -> None:
        for job in jobs:
            if self._accepted.mark(job.id, job.status):
                self._note_ours(job)

    def _note_ours(self, job: Seen) -> None:
        verdict = self.verdict
        verdict.first_created = min(verdict.first_created or job.created_at, job.created_at)
        verdict.last_created = max(verdict.last_created or job.created_at, job.created_at)
        if job.finished_at is None:
            return
        verdict.last_finished = max(verdict.last_finished or job.finished_at, job.finished_at)
        if job.status == COMPLETED:
            verdict.finished_by_tenth[int(job.finished_at.timestamp() * 10)] += 1
            verdict.whole.add(_microseconds(job.finished_at - job.created_at))
            verdict.waited.add(_microseconds((job.started_at or job.finished_at) - job.created_at))
        elif len(verdict.examples) < EXAMPLES:
            verdict.examples.append(f"{job.id} {job.status}: {job.reason or ''} {(job.error or '')[:200]}".strip())

    async def _pause(self, seconds: float) -> bool:
        """Return whether there is time left after a pause."""
        left = self._until - perf_counter()
        if left <= 0 or self._stop.is_set():
            return False
        try:
            async with asyncio.timeout(min(seconds, left)):
                await self._stop.wait()
        except TimeoutError:
            return perf_counter() < self._until
        return False

    def _conclude(self) -> None:
        found = self._accepted.statuses()
        missing = found.pop("", 0)
        unread = self._stop.is_set() or self.verdict.problem
        self.verdict.statuses = dict(found) | ({"not checked" if unread else "missing": missing} if missing else {})
        if self._stop.is_set():
            self.verdict.problem = "interrupted"
        left = EXAMPLES - len(self.verdict.examples)
        self.verdict.examples += [f"{job_id} is not over" for job_id in islice(self._accepted.unfinished(), left)]
        if missing and not unread:
            left = EXAMPLES - len(self.verdict.examples)
            self.verdict.examples += [f"{job_id} is unknown to the API" for job_id in islice(self._accepted.unseen(), left)]


def _microseconds(span: timedelta) -> int:
    return min(max((span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds, 0), MOST_US)
