"""What becomes of a job, seen from outside: its row, its history, its dead letter, its entries."""

import asyncio
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from shared.errors import PermanentFailure, RetryAfter, Snooze
from shared.jobs import Context
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.eventually import eventually


async def echo(_: Context, payload: Any) -> Any:
    """Return what came."""
    return payload


async def fail(_: Context, payload: Any) -> None:
    """Fail always."""
    raise RuntimeError(payload.get("message", "it failed"))


async def fail_once(ctx: Context, _: Any) -> int:
    """Fail on the first attempt."""
    if ctx.attempt == 1:
        raise RuntimeError("not yet")
    return ctx.attempt


def in_thread(ctx: Context, payload: Any) -> Any:
    """Return what came, from a plain function."""
    return {"attempt": ctx.attempt, "got": payload}


async def test_a_job_runs_and_its_result_is_kept(stage: Stage) -> None:
    """The happy path: COMPLETED after one attempt, with the handler's JSON and without an error or history."""
    await stage.start({"echo": echo})
    job_id = await stage.submit("echo", payload='{"ä": [1, null, "\\u20ac"]}'.encode())
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert row["result"] == {"ä": [1, None, "€"]}
    assert (row["attempts"], row["failures"], row["error"], row["lease_id"]) == (1, 0, None, None)
    assert row["started_at"] <= row["finished_at"]
    assert await stage.history(job_id) == []


async def test_a_plain_function_runs_in_a_thread(stage: Stage) -> None:
    """Blocking handlers are as welcome as coroutines."""
    await stage.start({"plain": in_thread})
    row = await stage.reaches(await stage.submit("plain", payload=b"[7]"), Status.COMPLETED)
    assert row["result"] == {"attempt": 1, "got": [7]}


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
async def test_every_priority_is_served_and_kept_through_a_retry(priority: str, stage: Stage) -> None:
    """A retried job comes back in the stream of its own priority, and leaves nothing in another."""
    await stage.start({"flaky": fail_once})
    row = await stage.reaches(await stage.submit("flaky", priority=priority), Status.COMPLETED)
    assert (row["result"], row["failures"], row["priority"]) == (2, 1, priority)


async def test_the_first_retry_comes_after_two_seconds_and_at_most_one_more(stage: Stage) -> None:
    """The real default: 2 s from failure to the next start, not earlier, and not much later."""
    starts: list[float] = []

    async def note(ctx: Context, _: Any) -> None:
        starts.append((await stage.database.fetch("SELECT extract(epoch FROM now())::double precision"))[0][0])
        if ctx.attempt == 1:
            raise RuntimeError("not yet")

    await stage.start({"note": note})
    await stage.reaches(await stage.submit("note", backoff=None), Status.COMPLETED)
    [gap] = [second - first for first, second in pairwise(starts)]
    assert 2.0 <= gap <= 3.0


async def test_gaps_grow_as_the_job_asks(stage: Stage) -> None:
    """The same doubling in a tenth of the time: each gap is at least what was asked and at most a second more."""
    await stage.start({"fail": fail})
    job_id = await stage.submit("fail", backoff=b'{"kind":"exponential","base":0.2,"factor":2}')
    await stage.reaches(job_id, Status.FAILED)
    rows = await stage.database.fetch("SELECT started_at, finished_at FROM attempts WHERE job_id = $1 ORDER BY attempt", job_id)
    gaps = [(later["started_at"] - earlier["finished_at"]).total_seconds() for earlier, later in pairwise(rows)]
    for gap, asked in zip(gaps, (0.2, 0.4, 0.8), strict=True):
        assert asked <= gap <= asked + 1.0


async def test_a_job_whose_attempts_are_spent_is_buried_with_a_letter(stage: Stage) -> None:
    """Four failures: FAILED, one dead_letters row that names its entry, and an entry that says everything."""
    await stage.start({"fail": fail})
    job_id = await stage.submit("fail", payload=b'{"message":"the printer is on fire"}')
    row = await stage.reaches(job_id, Status.FAILED)
    assert (row["attempts"], row["failures"], row["reason"]) == (4, 4, "attempts_spent")
    assert await stage.history(job_id) == ["failed"] * 4

    letter = await stage.letter_of(row)
    assert letter["type"] == "fail"
    assert letter["reason"] == "attempts_spent"
    assert letter["error"] == "RuntimeError: the printer is on fire"
    assert letter["attempts"] == "4"
    assert datetime.fromisoformat(letter["when"]) == row["finished_at"]

    async def placed() -> bool:  # noted behind the letter, with a statement of its own
        return await _places(stage) == await _noted(stage)

    await eventually(placed)
    [trace] = await stage.database.fetch("SELECT traceback FROM attempts WHERE job_id = $1 AND attempt = 4", job_id)
    assert "in fail" in trace[0]


async def test_a_permanent_failure_is_buried_at_once(stage: Stage) -> None:
    """The handler knows better: no attempt is wasted."""

    async def hopeless(_: Context, __: Any) -> None:
        raise PermanentFailure("no such customer")

    await stage.start({"hopeless": hopeless})
    row = await stage.reaches(await stage.submit("hopeless"), Status.FAILED)
    assert (row["attempts"], row["reason"], row["error"]) == (1, "permanent_failure", "PermanentFailure: no such customer")
    assert (await stage.letter_of(row))["reason"] == "permanent_failure"


async def test_a_payload_that_the_handler_cannot_decode_is_a_permanent_failure(stage: Stage) -> None:
    """Another attempt would not change the payload."""
    await stage.start({"echo": echo})
    row = await stage.reaches(await stage.submit("echo", payload=b'{"a": 1e999}'), Status.FAILED)
    assert row["reason"] == "permanent_failure"
    assert "invalid payload" in row["error"]


async def test_retry_after_sets_the_gap_and_counts_as_a_failure(stage: Stage) -> None:
    """The handler's own delay wins over the backoff; the budget is spent as by any failure."""

    async def busy(_: Context, __: Any) -> None:
        raise RetryAfter(0.3, "429")

    await stage.start({"busy": busy})
    job_id = await stage.submit("busy", max_attempts=2)
    row = await stage.reaches(job_id, Status.FAILED)
    assert (row["attempts"], row["failures"], row["error"]) == (2, 2, "RetryAfter: 429")
    [gap] = await stage.database.fetch(
        "SELECT extract(epoch FROM max(started_at) - min(finished_at))::double precision FROM attempts WHERE job_id = $1", job_id
    )
    assert 0.3 <= gap[0] <= 1.3


async def test_a_snooze_counts_no_failure(stage: Stage) -> None:
    """A job may wait more often than it may fail."""

    async def patient(ctx: Context, _: Any) -> str:
        if ctx.attempt <= 5:
            raise Snooze(0)
        return "now"

    await stage.start({"patient": patient})
    job_id = await stage.submit("patient", max_attempts=1)
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["attempts"], row["failures"], row["result"]) == (6, 0, "now")
    assert await stage.history(job_id) == ["snoozed"] * 5


async def test_a_cancelled_job_never_runs(stage: Stage) -> None:
    """Cancelling is a move of the row: the worker that meets the entry drops it."""
    job_id = await stage.submit("echo")
    assert await stage.jobs.cancel([job_id]) == {job_id}
    await stage.start({"echo": echo})
    await stage.reaches(await stage.submit("echo"), Status.COMPLETED)
    assert (await stage.row(job_id))["attempts"] == 0


async def test_a_running_job_that_is_cancelled_stops_within_a_second(stage: Stage) -> None:
    """The handler is told, its neighbour is not, and the job is CANCELLED under the fence of the worker that stopped it."""
    stopped: list[str] = []

    async def wait(ctx: Context, _: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(ctx.job_id)

    await stage.start({"wait": wait})
    job_id, neighbour = await stage.submit("wait"), await stage.submit("wait", timeout=4.0, max_attempts=1)
    await stage.reaches(job_id, Status.PROCESSING)
    await stage.reaches(neighbour, Status.PROCESSING)
    assert await stage.jobs.request_cancel(job_id)
    row = await stage.reaches(job_id, Status.CANCELLED, within=3.0)
    assert (row["reason"], stopped) == ("cancelled", [job_id])
    assert await stage.history(job_id) == ["cancelled"]
    assert (await stage.reaches(neighbour, Status.FAILED))["error"].startswith("timeout")


async def test_a_job_that_was_cancelled_before_its_worker_died_does_not_start_again(stage: Stage) -> None:
    """The request outlives the attempt: whoever claims the job next stops it at once."""
    job_id = await stage.submit("echo")
    await stage.database.fetch("UPDATE jobs SET cancel_requested = true WHERE id = $1", job_id)
    await stage.start({"echo": echo})
    row = await stage.reaches(job_id, Status.CANCELLED)
    assert (row["attempts"], row["result"]) == (1, None)


async def test_a_job_whose_start_deadline_passed_is_expired(stage: Stage) -> None:
    """It waited too long: CANCELLED with the reason, never run."""
    job_id = await stage.submit("echo", expires_in=0.000001)
    await stage.start({"echo": echo})
    row = await stage.reaches(job_id, Status.CANCELLED)
    assert (row["reason"], row["attempts"]) == ("expired", 0)


async def _places(stage: Stage) -> set[str]:
    return {place.decode() for place, _ in await stage.broker.client.xrange(stage.broker.keys.dlq)}


async def _noted(stage: Stage) -> set[str]:
    return {row[0] for row in await stage.database.fetch("SELECT entry_id FROM dead_letters")}
