"""ctx.once: an effect runs once, and every attempt of its job gets the result."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from inspect import isawaitable
from typing import Any

import pytest

from shared import probe
from shared.database import Database
from shared.jobs import Context, StaleAttemptError, UncertainEffect
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.shop import Shop, charging, effects_in, fail_at_first


@pytest.fixture
def shop() -> Shop:
    """One that nobody was charged by."""
    return Shop()


async def test_a_retry_gets_the_result_without_running_it_again(stage: Stage, shop: Shop) -> None:
    """The attempt fails after the effect; the next one gets what the first had got."""
    await stage.start({"pay": charging(shop, fail_at_first)})
    row = await stage.reaches(await stage.submit("pay"), Status.COMPLETED)
    assert (row["attempts"], row["result"], shop.charges) == (2, {"receipt": 1}, [1])
    assert await effects_in(stage) == [("charge", 1, True)]


async def test_a_plain_handler_has_it_too(stage: Stage, shop: Shop) -> None:
    """The same from a thread, where it blocks."""
    threads: list[str] = []

    def pay(ctx: Context, _: Any) -> Any:
        def charge() -> dict[str, int]:
            threads.append(threading.current_thread().name)
            return shop.charge_plain()

        receipt = ctx.once("charge", charge)
        fail_at_first(ctx)
        return receipt

    await stage.start({"pay": pay})
    row = await stage.reaches(await stage.submit("pay"), Status.COMPLETED)
    assert (row["attempts"], row["result"], shop.charges) == (2, {"receipt": 1}, [1])
    assert threads[0].startswith("handler")


async def test_the_reservation_is_committed_before_the_effect_begins(stage: Stage) -> None:
    """Another connection sees it from within the effect, as not done; afterwards as done."""
    seen: list[Any] = []

    async def look() -> None:
        seen.extend(await effects_in(stage))

    async def handler(ctx: Context, _: Any) -> None:
        await ctx.once("look", look)
        seen.extend(await effects_in(stage))

    await stage.start({"look": handler})
    await stage.reaches(await stage.submit("look"), Status.COMPLETED)
    assert seen == [("look", 1, False), ("look", 1, True)]


class RollbackError(Exception):
    """Take a transaction back."""


async def test_a_handler_that_is_cancelled_while_it_waits_for_the_reservation_leaves_none(stage: Stage, shop: Shop) -> None:
    """Its time runs out, then the reservation comes through: the effect never began, and must not look as if it had."""
    job_id = await stage.submit("pay", timeout=1.0, max_attempts=1)
    rival = Database(stage.settings.database_url, "rival")
    with probe.watch("effect_reserved") as reserved, probe.watch("settling") as settling:
        with suppress(RollbackError):
            async with rival.transaction() as transaction:
                query = "INSERT INTO effects (job_id, key, attempt) VALUES ($1, 'charge', 0)"
                await transaction.fetch(query, job_id)  # a unique key that is not committed: whoever wants it has to wait
                await stage.start({"pay": charging(shop)})
                await eventually(lambda: settling, what="the end of the handler")
                assert not reserved
                raise RollbackError
        await eventually(lambda: reserved, what="the reservation")
    await rival.close()
    await stage.reaches(job_id, Status.FAILED)
    await eventually(lambda: _is_gone(stage), what="its end")
    assert shop.charges == []


async def _is_gone(stage: Stage) -> bool:
    return await effects_in(stage) == []


async def test_a_worker_that_stops_waits_for_the_record(stage: Stage, shop: Shop) -> None:
    """The effect has happened, its record is under way when the handler is told to stop: the next worker gets the result."""
    rival = Database(stage.settings.database_url, "rival")
    running = await stage.start({"pay": charging(shop)}, grace_seconds=0.1)
    shop.gate.clear()
    async with rival.transaction() as transaction:
        with probe.watch("effect_reserved") as reserved, probe.watch("settled") as handed_back:
            job_id = await stage.submit("pay")
            await eventually(lambda: reserved, what="the reservation")
            await transaction.fetch("SELECT FROM effects FOR UPDATE")
            shop.gate.set()
            running.consumer.stop()
            await eventually(lambda: handed_back, what="the hand-back")
    await running.stop()
    await rival.close()
    await stage.start({"pay": charging(shop)})
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["result"], row["attempts"], shop.charges) == ({"receipt": 1}, 2, [1])


async def test_two_effects_of_a_job_and_the_same_key_of_two_jobs_do_not_meet(stage: Stage, shop: Shop) -> None:
    """A key names an effect within its job."""

    async def handler(ctx: Context, _: Any) -> list[Any]:
        return [await ctx.once("first", shop.charge), await ctx.once("second", shop.charge), await ctx.once("first", shop.charge)]

    await stage.start({"pay": handler})
    for first, second in ((1, 2), (3, 4)):
        row = await stage.reaches(await stage.submit("pay"), Status.COMPLETED)
        assert row["result"] == [{"receipt": first}, {"receipt": second}, {"receipt": first}]


async def test_one_that_is_under_way_in_the_same_attempt_does_not_begin_again(stage: Stage, shop: Shop) -> None:
    """Two tasks of one handler ask for the same effect: one runs it, and nobody asks the store about an effect that is running."""
    inside, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> dict[str, int]:
        inside.set()
        await gate.wait()
        return await shop.charge()

    async def handler(ctx: Context, _: Any) -> Any:
        first = asyncio.ensure_future(ctx.once("charge", slow))
        await inside.wait()
        with pytest.raises(UncertainEffect):
            await ctx.once("charge", shop.charge, uncertain=shop.find)
        gate.set()
        return await first

    await stage.start({"pay": handler})
    row = await stage.reaches(await stage.submit("pay"), Status.COMPLETED)
    assert (row["result"], shop.charges, shop.checks) == ({"receipt": 1}, [1], 0)


async def refused(*deeds: Callable[[], Any]) -> int:
    """Return how many of these deeds raised StaleAttemptError."""
    count = 0
    for deed in deeds:
        try:
            value = deed()
            await value if isawaitable(value) else value
        except StaleAttemptError:
            count += 1
    return count


async def test_a_worker_that_lost_the_job_begins_nothing(stage: Stage, shop: Shop) -> None:
    """Its lease is declared dead while the handler runs on: reservation and checkpoint are refused."""
    refusals: list[int] = []
    held = asyncio.Event()

    async def stubborn(ctx: Context, _: Any) -> None:
        if ctx.attempt == 1:
            held.set()
            try:
                await asyncio.Event().wait()
            finally:
                refusals.append(await refused(lambda: ctx.once("charge", shop.charge), lambda: ctx.checkpoint(1)))

    await stage.start({"stubborn": stubborn})
    job_id = await stage.submit("stubborn")
    await held.wait()
    await stage.database.fetch("UPDATE leases SET dead_at = now()")
    await eventually(lambda: refusals, what="the refusals")
    await stage.reaches(job_id, Status.COMPLETED)
    assert (refusals, shop.charges, await effects_in(stage)) == ([2], [], [])


async def test_a_thread_that_lost_the_job_begins_nothing(stage: Stage, shop: Shop) -> None:
    """Nobody can stop it: it runs on while its job's next attempt is over already, and learns of it when it wants to begin something."""
    refusals: list[int] = []
    gate, loop = threading.Event(), asyncio.get_running_loop()

    def deaf(ctx: Context, _: Any) -> None:
        if ctx.attempt == 1:
            gate.wait(20)
            seen = refused(lambda: ctx.once("charge", shop.charge_plain), lambda: ctx.checkpoint(1))
            loop.call_soon_threadsafe(refusals.append, asyncio.run(seen))

    await stage.start({"deaf": deaf})
    job_id = await stage.submit("deaf")
    await stage.reaches(job_id, Status.PROCESSING)
    await stage.database.fetch("UPDATE leases SET dead_at = now()")
    await stage.reaches(job_id, Status.COMPLETED)
    gate.set()
    await eventually(lambda: refusals, what="the refusals")
    assert (refusals, shop.charges, await effects_in(stage)) == ([2], [], [])
