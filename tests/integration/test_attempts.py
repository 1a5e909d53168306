"""GET /jobs/{id}/attempts: whatever becomes of an attempt, it is in the history with all that is known of it."""

import asyncio
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from shared.jobs import Context, PermanentFailure, RetryAfter, Snooze
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.producer import client
from tests.support.producer import running as serving

OUTCOMES = ["failed", "failed", "snoozed", "failed", "lost", "handed_back", "succeeded"]


async def chequered(ctx: Context, _: Any) -> str:
    """End in another way each time."""
    ends = {1: ValueError("wrong"), 2: RetryAfter(0, "busy"), 3: Snooze(0)}
    if ctx.attempt in ends:
        raise ends[ctx.attempt]
    if ctx.attempt in {4, 5, 6}:  # time is up, the lease is lost, the worker stops
        await asyncio.Event().wait()
    return "at last"


async def history(stage: Stage, job_id: str) -> list[dict[str, Any]]:
    """Return the attempts as the API shows them."""
    async with serving(stage.settings), client(stage.settings) as api:
        attempts: list[dict[str, Any]] = (await api.get(f"/jobs/{job_id}/attempts")).json["attempts"]
        return attempts


@pytest.fixture
async def job_id(stage: Stage, catalog: None) -> str:
    """A job that has come to its end in seven attempts on two workers."""
    del catalog
    first = await stage.start({"chequered": chequered}, grace_seconds=0.1)
    job_id = await stage.submit("chequered", timeout=1.0, max_attempts=9)
    await eventually(lambda: _runs(stage, job_id, 5), what="attempt 5")
    await stage.database.fetch("UPDATE leases SET dead_at = now()")
    await eventually(lambda: _runs(stage, job_id, 6), what="attempt 6")
    await first.stop()
    await stage.start({"chequered": chequered})
    await stage.reaches(job_id, Status.COMPLETED)
    return job_id


async def _runs(stage: Stage, job_id: str, attempt: int) -> bool:
    row = await stage.row(job_id)
    return (row["attempts"], row["status"]) == (attempt, Status.PROCESSING)


async def test_every_attempt_is_there_with_worker_times_and_outcome(stage: Stage, job_id: str) -> None:
    """One row an attempt, without a gap, each by a worker, one after the other; errors and tracebacks for those that failed."""
    attempts = await history(stage, job_id)
    assert [(item["attempt"], item["outcome"]) for item in attempts] == [*enumerate(OUTCOMES, 1)]
    assert all(item["worker"] for item in attempts)
    assert len({item["worker"] for item in attempts}) == 3  # the first worker has two leases, and a name for each
    times = [datetime.fromisoformat(item[name]) for item in attempts for name in ("started_at", "finished_at")]
    assert all(earlier <= later for earlier, later in pairwise(times))
    errors = [item["error"] for item in attempts]
    assert errors[:4] == ["ValueError: wrong", "RetryAfter: busy", None, "timeout: stopped after 1 s"]
    assert errors[4] == f"its worker {attempts[4]['worker']} died while running it"
    assert errors[5:] == [None, None]
    traced = [bool(item["traceback"]) for item in attempts]
    assert traced == [True, True, False, True, False, False, False]
    assert "raise ends[ctx.attempt]\nValueError: wrong" in attempts[0]["traceback"]
    assert "await asyncio.Event().wait()" in attempts[3]["traceback"]  # where it was when its time was up


async def test_the_end_of_a_dead_and_of_a_cancelled_job_is_there_too(stage: Stage, catalog: None) -> None:
    """The attempt that failed for good has its traceback; one that was stopped says so; one that runs has no end yet."""
    del catalog

    def hopeless(_: Context, __: Any) -> None:
        raise PermanentFailure("no such customer")

    async def endless(_: Context, __: Any) -> None:
        await asyncio.Event().wait()

    await stage.start({"hopeless": hopeless, "endless": endless})
    dead, stopped = await stage.submit("hopeless"), await stage.submit("endless")
    await stage.reaches(dead, Status.FAILED)
    await stage.reaches(stopped, Status.PROCESSING)
    [running] = await history(stage, stopped)
    assert (running["outcome"], running["finished_at"], running["error"]) == ("running", None, None)
    await stage.jobs.request_cancel(stopped)
    await stage.reaches(stopped, Status.CANCELLED)
    [failed], [cancelled] = await history(stage, dead), await history(stage, stopped)
    assert (failed["outcome"], failed["error"]) == ("failed", "PermanentFailure: no such customer")
    assert "in hopeless" in failed["traceback"]
    assert (cancelled["outcome"], cancelled["error"]) == ("cancelled", None)
    assert all(item["worker"] and item["started_at"] and item["finished_at"] for item in (failed, cancelled))
