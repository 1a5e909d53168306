"""Mistakes of the end of an attempt."""

from collections.abc import Sequence
from typing import Any

import consumer.runtime
import consumer.settler
from chaos.checks import due, jobs
from chaos.mutants.mistakes.mistake import change_query, mistake, put
from consumer.outcome import Bury
from consumer.settler import Settler
from shared.job_store import JobStore


@mistake(jobs.success_stays)
def settle_does_not_wait_for_the_disk() -> None:
    """synchronous_commit=off for the settle."""
    put(consumer.runtime, "DURABLE", {"synchronous_commit": "off"})


@mistake(jobs.success_stays)
def ack_before_settle() -> None:
    """The entry goes first, the row follows."""
    settle = Settler._settle_pile

    async def reversed_order(self: Any, move: Any, pile: list[Any], lease_id: str) -> None:
        await self._ack([attempt.entry for attempt, _ in pile])
        await settle(self, move, pile, lease_id)

    put(Settler, "_settle_pile", reversed_order)


@mistake(jobs.ends_have_reasons)
def no_bisect() -> None:
    """What PostgreSQL refuses in one of a batch is the end of all of it."""

    async def sweeping(self: Any, move: Any, pile: list[Any], lease_id: str, error: Exception) -> None:
        del move
        verdicts = [(attempt, Bury("invalid_result", str(error)[:500])) for attempt, _ in pile]
        await self._persist(consumer.settler._MOVES[Bury], verdicts, lease_id)

    put(Settler, "_bisect", sweeping)


@mistake(jobs.attempts_rise)
def attempt_reset_on_replay() -> None:
    """A replay begins to count at nought."""
    change_query("replay", "failures = 0, crashes = 0", "attempts = 0, failures = 0, crashes = 0")


@mistake(due.retries_wait)
def retry_at_once() -> None:
    """A failed job does not wait for its time."""
    retry = JobStore.retry

    async def hasty(self: Any, failed: Sequence[Any], lease_id: str) -> dict[str, float]:
        return await retry(self, [(job_id, attempt, 0.0, *why) for job_id, attempt, _, *why in failed], lease_id)

    put(JobStore, "retry", hasty)


@mistake(jobs.completed_is_true)
def results_are_mixed_up() -> None:
    """In a batch each job gets the result of the one before it."""
    succeed = JobStore.succeed

    async def mixed(self: Any, won: Sequence[Any], lease_id: str) -> set[str]:
        results = [result for _, _, result in won]
        return await succeed(self, [(*who, result) for (*who, _), result in zip(won, results[-1:] + results[:-1], strict=True)], lease_id)

    put(JobStore, "succeed", mixed)
