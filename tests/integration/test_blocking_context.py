"""The context of a plain handler: the same as that of a coroutine, over one function that could as well be a pipe."""

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from consumer.blocking import BlockingContext
from consumer.context import call_from_thread
from consumer.effects import Effects
from consumer.progress import ProgressBoard
from shared.database import Database
from shared.effect_store import EffectStore, ProgressStore
from shared.job_store import JobStore
from shared.jobs import NOT_HAPPENED, Context, UncertainEffect
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.log import get_log
from shared.models import Claimed, Lease
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.make import TYPES, open_lease, submitted
from tests.support.shop import Shop

ROOT = Path(__file__).parents[2]


async def test_a_thread_sees_what_a_coroutine_sees(stage: Stage) -> None:
    """Id, attempt, resources, a logger of its own; and `cancelled` turns true while it runs."""
    seen: list[Any] = []
    started = threading.Event()

    def handler(ctx: Context, _: Any) -> None:
        seen.append((ctx.job_id, ctx.attempt, "settings" in ctx.resources, ctx.cancelled))
        ctx.log.info("seen")
        started.set()
        while not ctx.cancelled:
            threading.Event().wait(0.01)
        seen.append(ctx.cancelled)

    await stage.start({"plain": handler})
    job_id = await stage.submit("plain")
    await asyncio.to_thread(started.wait, 10)
    assert await stage.jobs.request_cancel(job_id)
    await stage.reaches(job_id, Status.CANCELLED)
    await eventually(lambda: len(seen) == 2, what="the end of the thread")
    assert seen == [(job_id, 1, True, False), True]


class Desk:
    """An attempt's effects, and a context that reaches them through JSON from a thread, as a child process would."""

    def __init__(self, effects: Effects, attempt: int) -> None:
        self.attempt = attempt
        call = call_from_thread(effects, asyncio.get_running_loop())

        def through_json(method: str, *args: Any) -> Any:
            return json.loads(json.dumps(call(method, *json.loads(json.dumps(args)))))

        self.context = BlockingContext("id", attempt, get_log(), through_json)


@pytest.fixture
async def claim(jobs: JobStore, leases: LeaseStore, settings: Settings, effect_store: EffectStore, database: Database) -> Any:
    """Return a function that claims one and the same job (again) and gives the desk of that attempt."""
    job_id = await submitted(jobs)

    async def again() -> Desk:
        lease = await open_lease(leases, settings)
        await database.fetch("UPDATE leases SET dead_at = now() WHERE id <> $1", lease.id)
        await jobs.reclaim([job_id], 99)
        [claimed] = await jobs.claim([job_id], lease, TYPES)
        return _desk(claimed, lease, effect_store, database)

    return again


def _desk(claimed: Claimed, lease: Lease, store: EffectStore, database: Database) -> Desk:
    return Desk(Effects(store, ProgressBoard(ProgressStore(database)), claimed, lease), claimed.attempt)


async def test_everything_goes_through_json(claim: Any) -> None:
    """Progress, checkpoint, an effect that is done, one that is uncertain, one that is asked for: over two attempts."""
    shop = Shop()
    first = await claim()

    def attempt_one(ctx: BlockingContext) -> None:
        ctx.progress(10, "begun")
        before = ctx.checkpoint_data
        ctx.checkpoint({"page": 3})
        assert (before, ctx.checkpoint_data) == (None, {"page": 3})
        assert ctx.once("charge", shop.charge_plain) == {"receipt": 1}
        for key in ("lost", "asked"):
            with pytest.raises(ConnectionError):
                ctx.once(key, fail)
        with pytest.raises(ValueError, match="from 0 to 100"):
            ctx.progress(101)
        with pytest.raises(ValueError, match="the key of an effect"):
            ctx.once("", shop.charge_plain)

    def attempt_two(ctx: BlockingContext) -> None:
        assert ctx.checkpoint_data == {"page": 3}
        assert ctx.once("charge", shop.charge_plain) == {"receipt": 1}
        with pytest.raises(UncertainEffect, match="attempt 1 began it"):
            ctx.once("lost", shop.charge_plain)
        assert ctx.once("asked", shop.charge_plain, uncertain=lambda: NOT_HAPPENED) == {"receipt": 2}

    def fail() -> Any:
        raise ConnectionError("broke off")

    await asyncio.to_thread(attempt_one, first.context)
    second = await claim()
    await asyncio.to_thread(attempt_two, second.context)
    assert shop.charges == [1, 2]


async def test_a_coroutine_in_disguise_is_refused_and_uncertain(claim: Any) -> None:
    """A lambda that returns a coroutine which has to wait: nobody could wait for it, and nobody knows how far it came."""
    desk = await claim()

    async def slow() -> None:
        await asyncio.sleep(0)

    def disguised() -> Any:
        return slow()

    def attempt() -> None:
        with pytest.raises(TypeError, match="plain functions"):
            desk.context.once("charge", disguised)
        with pytest.raises(UncertainEffect):
            desk.context.once("charge", lambda: 1)

    await asyncio.to_thread(attempt)


async def test_a_handler_that_is_interrupted_before_it_hears_the_answer_leaves_no_reservation(claim: Any) -> None:
    """A signal strikes while the request is on its way: it is granted, nothing begins, and nothing is uncertain afterwards."""
    first = await claim()
    second = await claim()
    real = second.context._call

    def interrupted(method: str, *args: Any) -> Any:
        answer = real(method, *args)
        if method == "begin":
            raise TimeoutError("a signal")
        return answer

    def attempt() -> None:
        with pytest.raises(TimeoutError):
            BlockingContext("id", second.attempt, get_log(), interrupted).once("charge", lambda: 1)
        assert second.context.once("charge", lambda: 2) == 2

    await asyncio.to_thread(attempt)
    assert first.attempt < second.attempt


def test_a_child_need_not_load_what_talks_to_the_stores() -> None:
    """The module is imported by child processes, of which there may be many: without the drivers of PostgreSQL and Redis."""
    command = "import sys, consumer.blocking; print(sorted({'asyncpg', 'redis', 'aiohttp'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=ROOT).stdout == "[]\n"
