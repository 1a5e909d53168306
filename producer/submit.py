"""Group commit: all requests that wait at this moment become one insert and one publish.

An answer means committed. The publish follows the commit and is not waited for: what gets lost on the way, the reconciler adds.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from producer.problems import ProblemError, unavailable
from producer.publisher import Publisher
from shared import metrics, probe
from shared.batch import Batcher
from shared.database import DataError
from shared.errors import DatabaseUnavailableError
from shared.job_store import JobStore, Taken
from shared.log import get_log
from shared.models import Due, NewJob
from shared.settings import Settings

log = get_log()

BATCH_JOBS = 2_000  # a statement of that size takes some 40 ms; a larger one only delays those who wait
RETRY_SECONDS = 0.1
WATCH_SECONDS = 0.2
SAFE_AGAIN = "with an idempotency key it is safe to send the job again"


@dataclass(slots=True, eq=False)
class Request:
    """The jobs of one HTTP request: committed together or not at all."""

    jobs: Sequence[NewJob]
    deadline: float  # by the monotonic clock
    keyed: bool  # any of the jobs has an idempotency key
    answer: "asyncio.Future[dict[str, str]]"

    def resolve(self, replayed: dict[str, str]) -> None:
        """Answer: committed. `replayed` has, for each job whose key named an earlier one, the id of that one."""
        if not self.answer.done():
            self.answer.set_result(replayed)

    def refuse(self, error: Exception) -> None:
        """Answer: not stored."""
        if not self.answer.done():
            self.answer.set_exception(error)


class KeyReusedError(ProblemError):
    """422: the idempotency key was used with another body."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(422, detail, errors=[{"pointer": "/idempotency_key", "detail": detail}])
        self.key = key


class Submitter:
    """Takes jobs from requests and commits them in batches."""

    def __init__(self, settings: Settings, jobs: JobStore, publisher: Publisher) -> None:
        self._settings = settings
        self._jobs = jobs
        self._publisher = publisher
        self._batcher: Batcher[Request] = Batcher(self._commit, limit=BATCH_JOBS)
        self._unanswered: set[Request] = set()
        self._waiting = 0  # their jobs

    async def submit(self, jobs: Sequence[NewJob]) -> dict[str, str]:
        """Commit `jobs`, all or none; return, for each job whose idempotency key was known, the id of the job that has the key.

        Raises ProblemError: 503 when the queue is full or PostgreSQL does not answer in time, 422 for a key that is in use
        with another body.
        """
        if self._waiting and self._waiting + len(jobs) > self._settings.submit_queue:
            raise unavailable(f"{self._waiting} jobs wait for their commit already")
        self._waiting += len(jobs)
        deadline = time.monotonic() + self._settings.submit_timeout_seconds
        keyed = any([job.idempotency_key for job in jobs])  # noqa: C419 - a list is cheaper than a generator for one
        request = Request(jobs, deadline, keyed, asyncio.get_running_loop().create_future())
        self._unanswered.add(request)
        self._batcher.put(request)
        try:
            return await request.answer
        finally:
            self._unanswered.discard(request)
            self._waiting -= len(jobs)

    async def run(self) -> None:
        """Commit until `close`, then what is left."""
        watch = asyncio.create_task(self._watch_deadlines())
        try:
            await self._batcher.run()
        finally:
            watch.cancel()

    def close(self) -> None:
        """End `run` when nothing waits."""
        self._batcher.close()

    async def _watch_deadlines(self) -> None:
        """Refuse those whose time is over while the commit before them, or their own, hangs."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            for request in self._unanswered:
                if request.deadline <= now:
                    request.refuse(unavailable(_silent(self._settings.submit_timeout_seconds)))

    async def _commit(self, batch: list[Request]) -> None:
        for group in _groups([request for request in batch if not request.keyed]):
            await self._persist(group)
        for group in _keyed_groups([request for request in batch if request.keyed]):
            await self._persist_keyed(group)

    async def _persist(self, group: list[Request]) -> None:
        """Insert, and insert again while the outcome is unknown: the ids make it one. Give up when the last request's time is over."""
        while group := _unanswered(group):
            jobs = [job for request in group for job in request.jobs]
            try:
                probe.reached("inserting", jobs)
                self._committed(jobs, await self._jobs.submit(jobs))
            except DatabaseUnavailableError as error:
                await _pause(group, error)
                continue
            except DataError as error:
                return await self._bisect(group, error)
            except Exception as error:  # noqa: BLE001 - of PostgreSQL's or ours: it must not end the loop that all requests wait for
                return _give_up(group, error)
            for request in group:
                request.resolve({})
            return None
        return None

    async def _bisect(self, group: list[Request], error: Exception) -> None:
        """One request holds what PostgreSQL refuses; the others must not suffer."""
        if len(group) == 1:
            log.error("submit_refused", error=str(error))
            group[0].refuse(ProblemError(422, f"PostgreSQL cannot store this: {error}"))
            return
        persist = self._persist_keyed if group[0].keyed else self._persist
        middle = len(group) // 2
        await persist(group[:middle])
        await persist(group[middle:])

    async def _persist_keyed(self, group: list[Request]) -> None:
        while group := _unanswered(group):
            try:
                _answer(group, await self._submit_keyed(group))
            except DatabaseUnavailableError as error:
                await _pause(group, error)
                continue
            except DataError as error:
                await self._bisect(group, error)
            except ProblemError as error:
                group[0].refuse(error)
            except Exception as error:  # noqa: BLE001 - as above
                _give_up(group, error)
            return

    async def _submit_keyed(self, group: list[Request]) -> Taken:
        """Insert the first job of each key; return, by key, the job that has it now, be it an earlier one or one of these."""
        jobs = [job for request in group for job in request.jobs]
        alone = len(group) == 1  # a bulk request, which is stored as a whole or not at all
        first = _first_of_each_key(jobs, check=alone)
        due, taken = await self._jobs.submit_keyed(first, self._settings.idempotency_ttl, _refuse_other_bodies(jobs) if alone else _accept)
        self._committed([job for job in first if job.idempotency_key not in taken], due)
        return {job.idempotency_key: (job.fingerprint, job.id) for job in first if job.idempotency_key} | taken

    def _committed(self, jobs: Sequence[NewJob], due: Sequence[Due]) -> None:
        probe.reached("committed", jobs)
        metrics.submitted.inc(len(jobs))
        metrics.submit_batches.observe(len(jobs))
        later = {item.id for item in due}
        self._publisher.put([(job.lane, job.id) for job in jobs if job.id not in later] if later else [(job.lane, job.id) for job in jobs])
        self._publisher.put_off(due)


def _unanswered(group: list[Request]) -> list[Request]:
    """Those that still wait: who was told that nothing is stored must not find the job later."""
    return [request for request in group if not request.answer.done()]


async def _pause(group: list[Request], error: DatabaseUnavailableError) -> None:
    """Refuse the requests whose time is over; let a little time pass for the others."""
    now = time.monotonic()
    for request in group:
        if request.deadline <= now:
            request.refuse(unavailable(f"{error}; {SAFE_AGAIN}"))
    await asyncio.sleep(RETRY_SECONDS)


def _give_up(group: list[Request], error: Exception) -> None:
    log.error("submit_failed", error=f"{type(error).__name__}: {error}", exc_info=error)
    for request in group:
        request.refuse(ProblemError(500, "the job could not be stored; why is in the log of the producer"))


def _silent(seconds: float) -> str:
    return f"PostgreSQL did not answer within {seconds:g} s, so whether it has stored the job is not known; {SAFE_AGAIN}"


def _groups(requests: list[Request]) -> list[list[Request]]:
    """Cut into groups of about BATCH_JOBS jobs; a request is never split."""
    left, groups = deque(requests), list[list[Request]]()
    while left:
        group = [left.popleft()]
        size = len(group[0].jobs)
        while left and size + len(left[0].jobs) <= BATCH_JOBS:
            size += len(left[0].jobs)
            group.append(left.popleft())
        groups.append(group)
    return groups


def _keyed_groups(requests: list[Request]) -> list[list[Request]]:
    """A request of several jobs is a group of its own; all others are one, however many of them name the same key."""
    single = [request for request in requests if len(request.jobs) == 1]
    return [*([request] for request in requests if len(request.jobs) > 1), *([single] if single else [])]


def _first_of_each_key(jobs: Sequence[NewJob], *, check: bool) -> list[NewJob]:
    """Only the first job of a key is inserted. `check`: raise ProblemError (422) when another one of that key differs from it."""
    first: dict[str, NewJob] = {}
    for job in jobs:
        name = job.idempotency_key or job.id
        known = first.setdefault(name, job)
        if check:
            _refuse_other_body(name, known.fingerprint, job.fingerprint)
    return list(first.values())


def _answer(group: list[Request], taken: Taken) -> None:
    for request in group:
        try:
            _refuse_other_bodies(request.jobs)(taken)
        except ProblemError as error:
            request.refuse(error)
        else:
            request.resolve(_earlier(request.jobs, taken))


def _earlier(jobs: Sequence[NewJob], taken: Taken) -> dict[str, str]:
    """The id that stands for each job that was not inserted because its key was known."""
    holders = {job.idempotency_key: job.id for job in reversed(jobs) if job.idempotency_key}
    holders |= {key: job_id for key, (_, job_id) in taken.items()}
    return {job.id: holders[job.idempotency_key] for job in jobs if job.idempotency_key and holders[job.idempotency_key] != job.id}


def _accept(_: Taken) -> None:
    """Keys that are taken are dealt with request by request."""


def _refuse_other_bodies(jobs: Sequence[NewJob]) -> Callable[[Taken], None]:
    def check(taken: Taken) -> None:
        for job in jobs:
            if job.idempotency_key in taken:
                _refuse_other_body(job.idempotency_key, taken[job.idempotency_key][0], job.fingerprint)

    return check


def _refuse_other_body(key: str, first: bytes, second: bytes) -> None:
    if first != second:
        detail = f"the idempotency key {key!r} was used with another body"
        raise KeyReusedError(key, detail)
