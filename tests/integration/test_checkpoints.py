"""ctx.checkpoint: what one attempt stored, the next one reads."""

import asyncio
from typing import Any

import pytest

from shared import probe
from shared.jobs import Context, HandlerFunction
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.eventually import eventually

STEPS = 5


def counting(seen: list[Any], fails_at: dict[int, int]) -> HandlerFunction:
    """Return a handler of five steps that fails at the step named for the attempt; `seen` gets (attempt, step) of all that was done."""

    async def handler(ctx: Context, _: Any) -> int:
        for step in range(ctx.checkpoint_data or 0, STEPS):
            if fails_at.get(ctx.attempt) == step:
                raise RuntimeError("not yet")
            seen.append((ctx.attempt, step))
            await ctx.checkpoint(step + 1)
        return int(ctx.checkpoint_data)

    return handler


async def test_a_retry_goes_on_where_the_last_attempt_stopped(stage: Stage) -> None:
    """No step is done twice, over three attempts."""
    seen: list[Any] = []
    await stage.start({"count": counting(seen, {1: 2, 2: 2, 3: 4})})
    row = await stage.reaches(await stage.submit("count"), Status.COMPLETED)
    assert seen == [(1, 0), (1, 1), (3, 2), (3, 3), (4, 4)]
    assert (row["attempts"], row["result"]) == (4, STEPS)


async def test_a_plain_handler_has_it_too(stage: Stage) -> None:
    """The same from a thread, where it blocks; a job that never stored one reads None."""
    seen: list[Any] = []

    def handler(ctx: Context, _: Any) -> None:
        seen.append(ctx.checkpoint_data)
        ctx.checkpoint({"done": ctx.attempt})
        seen.append(ctx.checkpoint_data)
        if ctx.attempt == 1:
            raise RuntimeError("not yet")

    await stage.start({"plain": handler})
    await stage.reaches(await stage.submit("plain"), Status.COMPLETED)
    assert seen == [None, {"done": 1}, {"done": 1}, {"done": 2}]


async def test_it_survives_a_hand_back_and_a_reclaim(stage: Stage) -> None:
    """The worker stops, and later another is declared dead: the third attempt still knows what the first stored."""
    seen: list[Any] = []
    inside = asyncio.Event()

    async def handler(ctx: Context, _: Any) -> None:
        seen.append(ctx.checkpoint_data)
        if ctx.attempt == 1:
            await ctx.checkpoint(["from the first"])
        inside.set()
        if ctx.attempt < 3:
            await asyncio.Event().wait()

    running = await stage.start({"long": handler}, grace_seconds=0.1)
    job_id = await stage.submit("long")
    await inside.wait()
    await running.stop()
    inside.clear()
    await stage.start({"long": handler})
    await inside.wait()
    await stage.database.fetch("UPDATE leases SET dead_at = now()")
    await stage.reaches(job_id, Status.COMPLETED)
    assert (seen, await stage.history(job_id)) == ([None, ["from the first"], ["from the first"]], ["handed_back", "lost"])


async def test_a_replay_keeps_it(stage: Stage) -> None:
    """Whoever retries a dead job wants it finished, not begun anew."""
    seen: list[Any] = []
    await stage.start({"count": counting(seen, {1: 3})})
    job_id = await stage.submit("count", max_attempts=1)
    await stage.reaches(job_id, Status.FAILED)
    await stage.jobs.replay([job_id])
    await stage.broker.publish([("normal", job_id)])
    await stage.reaches(job_id, Status.COMPLETED)
    assert [step for _, step in seen] == [0, 1, 2, 3, 4]


async def test_the_order_of_what_is_stored_is_that_of_the_calls(stage: Stage) -> None:
    """Many at a time, over several connections: the last one wins."""

    async def handler(ctx: Context, _: Any) -> None:
        await asyncio.gather(*(ctx.checkpoint(number) for number in range(50)))

    await stage.start({"many": handler})
    await stage.reaches(await stage.submit("many"), Status.COMPLETED)
    assert await stage.database.fetch_value("SELECT data FROM checkpoints") == b"49"


ODD: dict[str, tuple[Any, str]] = {
    "the largest": ("x" * (1024 * 1024 - 2), ""),
    "a byte too large": ("x" * (1024 * 1024 - 1), "this one has 1048577"),
    "no JSON": (object(), "a checkpoint must be JSON"),
    "a lone surrogate": ("\ud800", "a checkpoint must be JSON"),
    "NUL": ("\x00", ""),
    "nothing": (None, ""),
}


@pytest.mark.parametrize("what", ODD)
async def test_what_fits_is_stored_and_what_does_not_is_an_error(what: str, stage: Stage) -> None:
    """Both sides of each limit; an error leaves the last one as it was."""
    value, problem = ODD[what]
    seen: list[Any] = []

    async def handler(ctx: Context, _: Any) -> None:
        if ctx.attempt == 2:
            seen.append(ctx.checkpoint_data)
            return
        await ctx.checkpoint("before")
        await ctx.checkpoint(value)
        raise RuntimeError("once more")

    await stage.start({"odd": handler})
    job_id = await stage.submit("odd")
    await stage.reaches(job_id, Status.COMPLETED)
    [error] = await stage.database.fetch("SELECT error FROM attempts")
    assert error[0].startswith("ValueError") if problem else error[0] == "RuntimeError: once more"
    assert problem in error[0]
    assert seen == ["before" if problem else value]


async def test_one_that_is_under_way_when_the_handler_is_stopped_is_stored(stage: Stage) -> None:
    """Cancelling a handler does not tear its write apart: it waits for a rival, the handler's time runs out, and it is there."""
    stored, gate = asyncio.Event(), asyncio.Event()

    async def handler(ctx: Context, _: Any) -> None:
        await ctx.checkpoint("first")
        stored.set()
        await gate.wait()
        await ctx.checkpoint("second")

    await stage.start({"slow": handler})
    job_id = await stage.submit("slow", timeout=1.0, max_attempts=1)
    await eventually(stored.is_set, what="the first checkpoint")
    with probe.watch("settling") as settling:
        async with stage.database.transaction() as transaction:
            await transaction.fetch("SELECT FROM checkpoints FOR UPDATE")
            gate.set()
            await eventually(lambda: settling, what="the end of the handler")
    await stage.reaches(job_id, Status.FAILED)
    assert await stage.database.fetch_value("SELECT data FROM checkpoints") == b'"second"'
