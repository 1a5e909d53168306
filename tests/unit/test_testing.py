"""shared.testing: handlers of every kind run without servers, and see what a worker would show them."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from shared.jobs import MAX_RESULT_BYTES, HandlerFunction, PermanentFailure, Snooze, job, registered
from shared.testing import Memory, run_job


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """What is bought."""

    sku: str
    count: int = 1


@pytest.fixture(autouse=True)
def _forget_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is declared here is forgotten afterwards."""
    monkeypatch.setattr("shared.jobs._registered", registered())


def handlers(work: Any) -> dict[str, HandlerFunction]:
    """Return handlers of each kind that do `work(ctx, payload)`."""

    @job("t.async", aliases=("t.alias",))
    async def in_the_loop(ctx: Any, payload: Order) -> Any:
        return work(ctx, payload)

    @job("t.thread")
    def in_a_thread(ctx: Any, payload: Order) -> Any:
        return work(ctx, payload)

    @job("t.process", executor="process")
    def in_a_process(ctx: Any, payload: Order) -> Any:
        return work(ctx, payload)

    return {"async": in_the_loop, "thread": in_a_thread, "process": in_a_process}


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_every_kind_of_handler_runs(kind: str) -> None:
    """With a decoded payload and a context that knows job, attempt and resources; found by function, type and alias."""

    def work(ctx: Any, payload: Order) -> Any:
        ctx.log.info("working")
        ctx.progress(50, "half")
        return [type(payload).__name__, payload.count, ctx.job_id, ctx.attempt, ctx.cancelled, ctx.resources["x"]]

    memory = Memory()
    function = handlers(work)[kind]
    options: dict[str, Any] = {"attempt": 3, "job_id": "the id", "cancelled": True, "resources": {"x": 7}, "memory": memory}
    expected = ["Order", 2, "the id", 3, True, 7]
    assert await run_job(function, {"sku": "a", "count": 2}, **options) == expected
    assert await run_job(f"t.{kind}", Order("a", 2), **options) == expected
    assert await run_job(f"t.{kind}", b'{"sku":"a","count":2}', **options) == expected
    assert memory.progress == [(50, "half")] * 3


async def test_found_by_alias_or_not_at_all() -> None:
    """A name that nobody answers to and a function that is no handler are said so."""
    handlers(lambda _, payload: payload.sku)
    assert await run_job("t.alias", {"sku": "a"}) == "a"
    strangers: list[Any] = ["t.nobody", test_found_by_alias_or_not_at_all]
    for stranger in strangers:
        with pytest.raises(LookupError, match="is no handler"):
            await run_job(stranger)


async def test_plain_handlers_do_not_block_the_loop() -> None:
    """They run in a thread, as they do in a worker."""
    names = handlers(lambda _, __: threading.current_thread() is threading.main_thread())
    assert [await run_job(names[kind], {"sku": "a"}) for kind in ("async", "thread", "process")] == [True, False, False]


@pytest.mark.parametrize("payload", [{"sku": 5}, {}, {"sku": "a", "more": 1}, b"{no json", b"[]"])
async def test_a_payload_that_does_not_fit(payload: Any) -> None:
    """It ends as in a worker: a permanent failure, and the handler never runs."""
    ran: list[int] = []
    handlers(lambda _, __: ran.append(1))
    with pytest.raises(PermanentFailure, match="invalid payload"):
        await run_job("t.thread", payload)
    assert not ran


async def test_the_result_is_what_json_keeps() -> None:
    """Tuples become lists and dates text; what JSON cannot hold is an error, as is more than a mebibyte."""
    results: list[Any] = [(1, datetime(2026, 1, 2, tzinfo=UTC)), None, "x" * (MAX_RESULT_BYTES - 2), "x" * (MAX_RESULT_BYTES - 1), object()]
    handlers(lambda _, __: results.pop(0))
    assert await run_job("t.thread", {"sku": "a"}) == [1, "2026-01-02T00:00:00Z"]
    assert await run_job("t.thread", {"sku": "a"}) is None
    assert len(await run_job("t.thread", {"sku": "a"})) == MAX_RESULT_BYTES - 2
    with pytest.raises(ValueError, match="bytes of JSON"):
        await run_job("t.thread", {"sku": "a"})
    with pytest.raises(TypeError, match="object"):
        await run_job("t.thread", {"sku": "a"})


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_what_it_raises_is_raised(kind: str) -> None:
    """Signals and errors alike."""

    def work(_: Any, payload: Order) -> None:
        raise Snooze(5) if payload.sku == "later" else KeyError(payload.sku)

    function = handlers(work)[kind]
    with pytest.raises(Snooze) as caught:
        await run_job(function, {"sku": "later"})
    assert caught.value.seconds == 5
    with pytest.raises(KeyError, match="other"):
        await run_job(function, {"sku": "other"})


async def test_a_second_attempt_remembers() -> None:
    """An effect that ended is not run again, a checkpoint is there: the same memory is given to both attempts."""
    charges: list[str] = []

    def charge() -> dict[str, Any]:
        charges.append("charged")
        return {"receipt": ("r", 1)}

    @job("t.pay")
    def pay(ctx: Any, _: Any) -> Any:
        receipt = ctx.once("charge", charge, uncertain=None)
        if ctx.attempt == 1:
            ctx.checkpoint({"page": (1, 2)})
            raise RuntimeError("the first attempt fails afterwards")
        return [receipt, ctx.checkpoint_data]

    @job("t.pay.async")
    async def pay_async(ctx: Any, _: Any) -> Any:
        await asyncio.sleep(0)
        receipt = await ctx.once("charge", charge_later)
        if ctx.attempt == 1:
            await ctx.checkpoint({"page": (1, 2)})
            raise RuntimeError("the first attempt fails afterwards")
        return [receipt, ctx.checkpoint_data]

    async def charge_later() -> dict[str, Any]:
        return charge()

    for function in (pay, pay_async):
        memory = Memory()
        with pytest.raises(RuntimeError):
            await run_job(function, memory=memory)
        assert await run_job(function, attempt=2, memory=memory) == [{"receipt": ["r", 1]}, {"page": [1, 2]}]
        assert memory.effects == {"charge": {"receipt": ["r", 1]}}
    assert charges == ["charged", "charged"], "one for each of the two jobs"


@pytest.mark.parametrize(("percent", "fits"), [(0, True), (100, True), (-0.1, False), (100.1, False), (float("nan"), False)])
async def test_progress_is_checked(percent: float, fits: bool) -> None:
    """From 0 to 100, as in a worker."""

    @job("t.progress")
    async def progressing(ctx: Any, _: Any) -> None:
        ctx.progress(percent)

    memory = Memory()
    if fits:
        await run_job(progressing, memory=memory)
        assert memory.progress == [(percent, "")]
    else:
        with pytest.raises(ValueError, match="0 to 100"):
            await run_job(progressing, memory=memory)
