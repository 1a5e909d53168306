"""Mistakes of who runs a job, and since when."""

import asyncio
import os
from typing import Any

import consumer.runtime
from chaos.checks import due, jobs, processes, runs
from chaos.mutants.mistakes.mistake import change_query, change_script, mistake, put
from consumer.heartbeat import Heartbeat
from consumer.runtime import Consumer

LIFE_SECONDS = 6.0


@mistake(runs.executions_are_bounded, runs.no_overlap)
def a_claim_of_what_runs() -> None:
    """A claim does not ask for the state."""
    change_query("claim", "status IN ('PENDING', 'SCHEDULED', 'RETRYING') AND run_at", "finished_at IS NULL AND run_at")


@mistake(jobs.moves_are_legal, jobs.results_stay, jobs.settles_are_of_their_attempts)
def no_fence() -> None:
    """A settle asks for nothing but the id."""
    change_query(
        "succeed", "status = 'PROCESSING' AND attempts = won.attempt AND lease_id = $3", "(attempts >= won.attempt OR lease_id = $3)"
    )


@mistake(jobs.settles_are_of_their_attempts)
def no_fence_of_failures() -> None:
    """A failure asks whether the job runs, not whether this is its attempt."""
    for query in ("retry", "bury"):
        change_query(query, "attempts = failed.attempt AND lease_id = $3", "(attempts >= failed.attempt OR lease_id = $3)")


@mistake(jobs.settles_are_of_their_attempts)
def no_fence_of_snoozes() -> None:
    """A snooze asks whether the job runs, not whether this is its attempt."""
    change_query("snooze", "attempts = snoozed.attempt AND lease_id = $3", "(attempts >= snoozed.attempt OR lease_id = $3)")


@mistake(runs.executions_are_bounded)
def no_fence_of_hand_backs() -> None:
    """A hand-back asks whether the job runs, not whether this is its attempt."""
    change_query("hand_back", "attempts = unfinished.attempt AND lease_id = $3", "(attempts >= unfinished.attempt OR lease_id = $3)")


@mistake(due.nothing_is_early)
def time_is_not_asked_for() -> None:
    """What should wait is due at once, and a claim does not ask for its time."""
    change_script("postpone", "now + tonumber(ARGV[i + 1])", "now")
    change_query("claim", "AND run_at <= now()", "")


@mistake(processes.nobody_gives_up)
def nobody_drains() -> None:
    """A consumer that is told to end does so at once."""
    put(consumer.runtime, "_on_signal", lambda _, number: lambda: os._exit(128 + number))


@mistake(jobs.success_stays, runs.nobody_begins_too_late)
def who_wakes_up_goes_on() -> None:
    """A worker that was frozen begins what it had claimed before."""
    put(Heartbeat, "holds", lambda self, lease: bool(self and lease))


@mistake(processes.nobody_gives_up)
def a_process_gives_up() -> None:
    """A consumer ends by itself after a while."""
    run = Consumer.run

    async def short_lived(self: Any) -> None:
        asyncio.get_running_loop().call_later(LIFE_SECONDS, os._exit, 0)
        await run(self)

    put(Consumer, "run", short_lived)
