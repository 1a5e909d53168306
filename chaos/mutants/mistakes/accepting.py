"""Mistakes of the way in: what is said, what is stored, what is published."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from chaos.checks import jobs, speed, stores
from chaos.mutants.mistakes.mistake import mistake, put
from producer.submit import Submitter
from shared.errors import BrokerUnavailableError, DatabaseUnavailableError
from shared.ids import new_id
from shared.models import NewJob

ENTRY_AHEAD_SECONDS = 0.03
SELDOM = 0.2
TIRED_SECONDS = 20.0


@mistake(stores.postgres_is_needed)
def answer_before_commit() -> None:
    """2xx as soon as the job is taken."""
    submit = Submitter.submit

    async def hasty(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        if any(job.idempotency_key for job in jobs):
            return await submit(self, jobs)
        task = asyncio.create_task(submit(self, jobs))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return {}

    put(Submitter, "submit", hasty)


@mistake(stores.the_books_agree)
def publish_before_commit() -> None:
    """The entry is in the stream before the row is there."""
    persist = Submitter._persist

    async def eager(self: Any, group: list[Any]) -> None:
        with suppress(BrokerUnavailableError):
            await self._publisher._broker.publish((job.lane, job.id) for request in group for job in request.jobs)
        await asyncio.sleep(ENTRY_AHEAD_SECONDS)
        await persist(self, group)

    put(Submitter, "_persist", eager)


@mistake(jobs.one_key_one_job)
def keys_are_forgotten() -> None:
    """Idempotency keys are not stored."""
    submit = Submitter.submit

    async def keyless(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        return await submit(self, [msgspec.structs.replace(job, idempotency_key=None) for job in jobs])

    put(Submitter, "submit", keyless)


@mistake(stores.redis_is_not_needed)
def answer_waits_for_redis() -> None:
    """2xx only when the entry is in the stream."""
    submit = Submitter.submit

    async def dependent(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        known = await submit(self, jobs)
        await self._publisher._broker.ping()
        return known

    put(Submitter, "submit", dependent)


@mistake(jobs.nothing_is_made_up)
def jobs_are_stored_twice() -> None:
    """One submission in five makes a second job."""
    submit = Submitter.submit

    async def doubling(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        again = [msgspec.structs.replace(job, id=new_id(), idempotency_key=None) for job in jobs]
        return await submit(self, [*jobs, *again] if random.random() < SELDOM else jobs)

    put(Submitter, "submit", doubling)


@mistake(jobs.nothing_is_lost)
def the_last_of_a_bulk_is_dropped() -> None:
    """It has its id in the answer, and is not stored."""
    submit = Submitter.submit

    async def careless(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        return await submit(self, jobs[:-1] if len(jobs) > 1 else jobs)

    put(Submitter, "submit", careless)


@mistake(speed.nothing_is_refused)
def producers_refuse_after_a_while() -> None:
    """As if PostgreSQL were away, from their twentieth second on."""
    submit = Submitter.submit
    began = time.monotonic()

    async def tired(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        if time.monotonic() > began + TIRED_SECONDS:
            raise DatabaseUnavailableError("not any more")
        return await submit(self, jobs)

    put(Submitter, "submit", tired)
