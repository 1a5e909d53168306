"""An effect that was begun and whose end nobody knows: reported, asked about, and never run again by itself."""

import asyncio
from typing import Any

import pytest

from shared.jobs import Context, PermanentFailure, RetryAfter, Snooze, UncertainEffect
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.shop import Shop, charging, effects_in, left_behind


@pytest.fixture
def shop() -> Shop:
    """One that nobody was charged by."""
    return Shop()


async def test_an_effect_that_never_ended_is_uncertain_and_buries_the_job(stage: Stage, shop: Shop) -> None:
    """What a crash leaves: the next attempt says which effect, which attempt and when, and runs nothing."""
    job_id = await stage.submit("pay")
    await left_behind(stage, job_id)
    await stage.start({"pay": charging(shop)})
    row = await stage.reaches(job_id, Status.FAILED)
    [began_at] = (await stage.database.fetch("SELECT began_at FROM effects"))[0]
    assert row["reason"] == "uncertain_effect"
    assert row["error"] == (
        f"UncertainEffect: whether 'charge' happened is not known: attempt 1 began it at {began_at.isoformat()} and did not end it"
    )
    assert (await stage.letter_of(row))["reason"] == "uncertain_effect"
    assert (shop.charges, row["attempts"]) == ([], 2)


async def test_who_can_ask_the_outside_store_is_told_what_happened(stage: Stage, shop: Shop) -> None:
    """`uncertain` finds the charge: its answer is recorded, and no later attempt asks again."""
    job_id = await stage.submit("pay")
    await left_behind(stage, job_id)
    shop.charges.append(1)

    def fail_twice(ctx: Context) -> None:
        if ctx.attempt < 4:
            raise RuntimeError("not yet")

    await stage.start({"pay": charging(shop, fail_twice, uncertain=shop.find)})
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["attempts"], row["result"], shop.charges, shop.checks) == (4, {"receipt": 1}, [1], 1)
    assert await effects_in(stage) == [("charge", 2, True)]


async def test_who_hears_that_it_did_not_happen_runs_it(stage: Stage, shop: Shop) -> None:
    """`uncertain` says NOT_HAPPENED: the effect runs, under the new attempt."""
    job_id = await stage.submit("pay")
    await left_behind(stage, job_id)
    await stage.start({"pay": charging(shop, uncertain=shop.find)})
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["result"], shop.charges, shop.checks) == ({"receipt": 1}, [1], 1)
    assert await effects_in(stage) == [("charge", 2, True)]


async def test_a_plain_handler_can_ask_too(stage: Stage, shop: Shop) -> None:
    """With a plain function."""
    job_id = await stage.submit("pay")
    await left_behind(stage, job_id)
    shop.charges.append(1)

    def pay(ctx: Context, _: Any) -> Any:
        return ctx.once("charge", shop.charge_plain, uncertain=lambda: {"receipt": shop.charges[0]})

    await stage.start({"pay": pay})
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["result"], shop.charges) == ({"receipt": 1}, [1])


async def test_an_answer_that_does_not_come_leaves_it_uncertain(stage: Stage, shop: Shop) -> None:
    """The store is away when it is asked: an ordinary failure, and the next attempt asks again."""
    job_id = await stage.submit("pay")
    await left_behind(stage, job_id)
    answers = iter([ConnectionError("away"), None])

    async def find() -> Any:
        if error := next(answers):
            raise error
        return await shop.find()

    await stage.start({"pay": charging(shop, uncertain=find)})
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["attempts"], row["failures"], shop.charges) == (3, 1, [1])


async def test_a_handler_may_catch_it(stage: Stage, shop: Shop) -> None:
    """UncertainEffect carries what is known, and whoever catches it goes on."""
    job_id = await stage.submit("pay")
    await left_behind(stage, job_id)

    async def handler(ctx: Context, _: Any) -> Any:
        try:
            await ctx.once("charge", shop.charge)
        except UncertainEffect as doubt:
            return [doubt.key, doubt.attempt, doubt.began_at.isoformat()]

    await stage.start({"pay": handler})
    row = await stage.reaches(job_id, Status.COMPLETED)
    [began_at] = (await stage.database.fetch("SELECT began_at FROM effects"))[0]
    assert (row["result"], shop.charges) == (["charge", 1, began_at.isoformat()], [])


@pytest.mark.parametrize("error", [PermanentFailure("card declined"), RetryAfter(0, "busy"), Snooze(0), KeyError("declined")])
async def test_what_says_that_nothing_happened_releases_it(error: Exception, stage: Stage, shop: Shop) -> None:
    """A handler's own signals and the exceptions that it names: the key is free again."""

    async def handler(ctx: Context, _: Any) -> Any:
        async def declined() -> None:
            raise error

        return await ctx.once("charge", declined if ctx.attempt == 1 else shop.charge, released_by=(LookupError, OverflowError))

    await stage.start({"pay": handler})
    expected = Status.FAILED if isinstance(error, PermanentFailure) else Status.COMPLETED
    row = await stage.reaches(await stage.submit("pay"), expected)
    assert await effects_in(stage) == ([] if expected is Status.FAILED else [("charge", 2, True)])
    assert row["reason"] == ("permanent_failure" if expected is Status.FAILED else None)


@pytest.mark.parametrize("error", [TimeoutError("no answer"), ConnectionResetError(), ValueError("no JSON"), BaseException("odd")])
async def test_any_other_exception_leaves_it_uncertain(error: BaseException, stage: Stage) -> None:
    """The answer to a payment may be lost, or be garbage, after the payment was made: what raises proves nothing."""
    runs: list[int] = []

    async def handler(ctx: Context, _: Any) -> Any:
        async def charge() -> None:
            runs.append(ctx.attempt)
            raise error

        return await ctx.once("charge", charge, released_by=LookupError)

    await stage.start({"pay": handler})
    row = await stage.reaches(await stage.submit("pay"), Status.FAILED)
    assert (row["reason"], row["attempts"], runs) == ("uncertain_effect", 2, [1])
    [first] = await stage.database.fetch("SELECT error, traceback FROM attempts WHERE attempt = 1")
    assert type(error).__name__ in first["error"]
    assert "the effect 'charge' happened is uncertain now" in first["traceback"]


async def test_an_effect_that_is_cut_off_by_the_time_limit_is_uncertain(stage: Stage) -> None:
    """Cancelled in its middle: nobody knows how far it came."""
    runs: list[int] = []

    async def handler(ctx: Context, _: Any) -> Any:
        async def charge() -> None:
            runs.append(ctx.attempt)
            await asyncio.Event().wait()

        return await ctx.once("charge", charge)

    await stage.start({"pay": handler})
    row = await stage.reaches(await stage.submit("pay", timeout=0.3), Status.FAILED)
    assert (row["reason"], runs, await stage.history(row["id"])) == ("uncertain_effect", [1], ["failed", "failed"])
