"""Handlers that do what handlers must not: each is found out, none harms the worker or its neighbours."""

import asyncio
from typing import Any

import msgspec

from shared.errors import RetryAfter, Snooze
from shared.jobs import Context, HandlerFunction
from shared.lifecycle import Status
from tests.support.consumer import Stage


class UnprintableError(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("I will not say")


class DeadlyError(Exception):
    """An exception whose text ends whoever asks for it."""

    def __str__(self) -> str:
        raise SystemExit(3)


class HalfSnooze(Snooze):
    """A signal whose author forgot to call the base class."""

    def __init__(self) -> None:
        pass


def raising(error: BaseException) -> HandlerFunction:
    """Return a handler that raises it."""

    async def handler(_: Context, __: Any) -> None:
        raise error

    return handler


def returning(value: Any) -> HandlerFunction:
    """Return a handler that returns it."""

    async def handler(_: Context, __: Any) -> Any:
        return value

    return handler


def plain_raising(error: BaseException) -> HandlerFunction:
    """Return a plain function that raises it in its thread."""

    def handler(_: Context, __: Any) -> None:
        raise error

    return handler


async def neighbour(_: Context, __: Any) -> str:
    """Take a moment, so as to be running when the other one strikes."""
    await asyncio.sleep(0.05)
    return "unharmed"


RAISED: dict[str, tuple[HandlerFunction, str]] = {
    "SystemExit": (raising(SystemExit(1)), "SystemExit: 1"),
    "KeyboardInterrupt": (raising(KeyboardInterrupt("ctrl-c")), "KeyboardInterrupt: ctrl-c"),
    "GeneratorExit": (raising(GeneratorExit()), "GeneratorExit"),
    "CancelledError": (raising(asyncio.CancelledError("mine")), "CancelledError: mine"),
    "BaseException": (raising(BaseException("base")), "BaseException: base"),
    "BaseExceptionGroup": (raising(BaseExceptionGroup("many", [SystemExit(1)])), "BaseExceptionGroup: many"),
    "StopIteration in a thread": (plain_raising(StopIteration()), "StopIteration"),
    "SystemExit in a thread": (plain_raising(SystemExit(1)), "SystemExit"),
    "KeyboardInterrupt in a thread": (plain_raising(KeyboardInterrupt()), "KeyboardInterrupt"),
    "an exception without words": (raising(UnprintableError()), "UnprintableError"),
    "an exception whose words kill": (raising(DeadlyError()), "DeadlyError"),
    "NUL in the message": (raising(RuntimeError("a\x00b")), "RuntimeError: a\\0b"),
    "a lone surrogate in the message": (raising(RuntimeError("a\ud800b")), "RuntimeError: a?b"),
    "a message of 10 MB": (raising(RuntimeError("x" * 10_000_000)), "RuntimeError: xxx"),
}


async def test_whatever_handlers_raise_fails_their_jobs_and_nothing_else(stage: Stage) -> None:
    """All of them at once: each job is FAILED with its error, their neighbours complete, and the worker runs the next job."""
    running = await stage.start({"neighbour": neighbour} | {how: handler for how, (handler, _) in RAISED.items()}, concurrency=30)
    beside = await stage.submit_many(5, "neighbour")
    ids = {how: await stage.submit(how, max_attempts=1) for how in RAISED}
    for how, job_id in ids.items():
        row = await stage.reaches(job_id, Status.FAILED)
        assert row["reason"] == "attempts_spent", how
        assert RAISED[how][1] in row["error"], how
        assert len(row["error"]) <= 2000, how
        assert (await stage.letter_of(row))["reason"] == "attempts_spent"
    for job_id in (*beside, await stage.submit("neighbour")):
        await stage.reaches(job_id, Status.COMPLETED)
    assert not running.task.done()


RETURNED: dict[str, tuple[Any, str, str]] = {
    "an object": (object(), "invalid_result", "object"),
    "a lone surrogate": ("a\ud800b", "invalid_result", "str"),
    "50 MB": ("x" * 50_000_000, "result_too_large", "50000002 bytes"),
    "a coroutine function": (neighbour, "invalid_result", "function"),
    "a list that holds itself": (list[Any](), "invalid_result", "list"),
    "JSON that is none": (msgspec.Raw(b"{no json"), "invalid_result", "json"),
    "JSON that is not UTF-8": (msgspec.Raw(b'"\xff"'), "invalid_result", "UTF8"),
}
RETURNED["a list that holds itself"][0].append(RETURNED["a list that holds itself"][0])


async def test_a_result_that_cannot_be_kept_fails_the_job_with_the_reason(stage: Stage) -> None:
    """Running it again would give the same result, so it is buried at once; neighbours of its batch are settled."""
    await stage.start({"neighbour": neighbour} | {what: returning(value) for what, (value, _, _) in RETURNED.items()}, concurrency=30)
    beside = await stage.submit_many(5, "neighbour")
    ids = {what: await stage.submit(what) for what in RETURNED}
    for what, job_id in ids.items():
        _, reason, words = RETURNED[what]
        row = await stage.reaches(job_id, Status.FAILED)
        assert (row["reason"], row["attempts"], row["result"]) == (reason, 1, None), what
        assert words in row["error"], what
    for job_id in beside:
        await stage.reaches(job_id, Status.COMPLETED)


WISHES: dict[str, BaseException] = {
    "a number in words": RetryAfter("0.1", "soon"),  # type: ignore[arg-type]
    "no number at all": RetryAfter(None, "soon"),  # type: ignore[arg-type]
    "not a number": RetryAfter(float("nan")),
    "before now": RetryAfter(-1e300),
    "a signal without seconds": HalfSnooze(),
}


async def test_a_wish_that_makes_no_sense_does_not_hold_the_job_up(stage: Stage) -> None:
    """A signal with nonsense in it means soon, and never a slot that is lost until the time limit."""

    async def wishing(ctx: Context, payload: Any) -> str:
        if ctx.attempt == 1:
            raise WISHES[payload["what"]]
        return "done"

    await stage.start({"wishing": wishing}, concurrency=1)
    for what in WISHES:
        row = await stage.reaches(await stage.submit("wishing", payload=msgspec.json.encode({"what": what})), Status.COMPLETED, within=5)
        assert row["result"] == "done", what


async def test_a_wish_for_ever_is_bounded(stage: Stage) -> None:
    """A year is the longest: PostgreSQL and Redis must be able to store it."""
    stage.leftovers = True  # it waits in the ZSET
    await stage.start({"wishing": raising(Snooze(float("inf")))})
    row = await stage.reaches(await stage.submit("wishing"), Status.SCHEDULED)
    assert (row["run_at"] - row["updated_at"]).days == 366


async def test_one_bad_outcome_does_not_fail_its_batch(stage: Stage) -> None:
    """Twenty jobs end together, one with a result that PostgreSQL refuses: the batch is halved until that one is found."""
    gate = asyncio.Event()

    async def together(_: Context, payload: Any) -> Any:
        await gate.wait()
        return msgspec.Raw(b"\xff") if payload["bad"] else "good"

    await stage.start({"together": together}, concurrency=20)
    good = await stage.submit_many(19, "together", payload=b'{"bad":false}')
    bad = await stage.submit("together", payload=b'{"bad":true}')
    await stage.reaches(bad, Status.PROCESSING)
    for job_id in good:
        await stage.reaches(job_id, Status.PROCESSING)
    gate.set()
    assert (await stage.reaches(bad, Status.FAILED))["reason"] == "invalid_result"
    for job_id in good:
        row = await stage.reaches(job_id, Status.COMPLETED)
        assert (row["attempts"], row["result"]) == (1, "good")
