"""What ctx.once takes and keeps: both sides of each limit."""

from typing import Any

import pytest

from shared.jobs import Context
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.shop import Shop, effects_in, fail_at_first


@pytest.fixture
def shop() -> Shop:
    """One that nobody was charged by."""
    return Shop()


async def test_results_up_to_the_limit_are_kept(stage: Stage) -> None:
    """64 KiB of JSON fit. One byte more is a failure at once: it happened, and it must not look as if it could be run again."""
    runs: list[int] = []

    async def handler(ctx: Context, payload: Any) -> Any:
        async def effect() -> str:
            runs.append(ctx.attempt)
            return "x" * int(payload["size"])

        result = await ctx.once("large", effect)
        fail_at_first(ctx)
        return len(result)

    await stage.start({"large": handler})
    fits = await stage.reaches(await stage.submit("large", payload=b'{"size":65534}'), Status.COMPLETED)
    assert (fits["result"], runs) == (65534, [1])
    job_id = await stage.submit("large", payload=b'{"size":65535}')
    row = await stage.reaches(job_id, Status.FAILED)
    assert (row["reason"], row["attempts"]) == ("permanent_failure", 1)
    assert "happened, but its result has 65537 bytes" in row["error"]
    await stage.jobs.replay([job_id])
    await stage.broker.publish([("normal", job_id)])
    row = await stage.reaches(job_id, Status.FAILED)
    assert (row["reason"], runs) == ("uncertain_effect", [1, 1])


async def test_the_result_is_the_same_at_first_and_later(stage: Stage) -> None:
    """What JSON makes of it, also for the attempt that ran the effect; what JSON cannot hold is a failure that says so."""
    results: list[Any] = []

    async def odd() -> Any:
        return {1: (2, None), "when": b"\x00"}

    async def wrong() -> Any:
        return object()

    async def handler(ctx: Context, _: Any) -> None:
        results.append(await ctx.once("odd", odd))
        fail_at_first(ctx)
        await ctx.once("wrong", wrong)

    await stage.start({"odd": handler})
    row = await stage.reaches(await stage.submit("odd"), Status.FAILED)
    assert results == [{"1": [2, None], "when": "AA=="}] * 2
    assert "'wrong' happened, but its result cannot be JSON" in row["error"]


KEYS = {"k" * 200: True, "k": True, "ä/ b": True, "k" * 201: False, "": False, "a\x00": False}


@pytest.mark.parametrize(("key", "fits"), KEYS.items())
async def test_keys(key: str, fits: bool, stage: Stage, shop: Shop) -> None:
    """1 to 200 printable characters; a bad key is an ordinary error and nothing runs."""

    async def handler(ctx: Context, _: Any) -> Any:
        return await ctx.once(key, shop.charge)

    await stage.start({"pay": handler})
    row = await stage.reaches(await stage.submit("pay", max_attempts=1), Status.COMPLETED if fits else Status.FAILED)
    assert (len(shop.charges), "the key of an effect" in (row["error"] or "")) == (int(fits), not fits)


async def test_a_coroutine_function_in_a_plain_handler_is_refused_before_anything_begins(stage: Stage, shop: Shop) -> None:
    """It could not be waited for."""

    def handler(ctx: Context, _: Any) -> Any:
        return ctx.once("charge", shop.charge)

    await stage.start({"pay": handler})
    row = await stage.reaches(await stage.submit("pay", max_attempts=1), Status.FAILED)
    assert "plain functions" in row["error"]
    assert (shop.charges, await effects_in(stage)) == ([], [])
