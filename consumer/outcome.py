"""What becomes of an attempt: decided by a pure function, before anything is done about it."""

import traceback
from typing import Any, NamedTuple

import msgspec

from consumer import retry
from shared.errors import PermanentFailure, RetryAfter, Snooze, UncertainEffect
from shared.jobs import MAX_RESULT_BYTES
from shared.models import Claimed

MAX_ERROR_CHARS = 2_000
MAX_TRACEBACK_CHARS = 16_000
LONGEST_DELAY_SECONDS = 366 * 86_400.0


# How an attempt ended ...


class Returned(NamedTuple):
    """The handler came to its end."""

    value: Any


class Raised(NamedTuple):
    """The handler raised."""

    error: BaseException


class TimedOut(NamedTuple):
    """The handler was stopped because its time was up; `trace` shows where it was, if it could be stopped."""

    seconds: float
    trace: str = ""


class Stopped(NamedTuple):
    """The handler was stopped because this process ends."""


class Cancelled(NamedTuple):
    """The handler was stopped because somebody asked for it."""


# ... and what that means for the job.


class Succeeded(NamedTuple):
    """Complete it; `result` is JSON."""

    result: bytes


class Retry(NamedTuple):
    """Run it again in `delay` seconds; a failure."""

    delay: float
    error: str
    trace: str = ""


class Bury(NamedTuple):
    """Dead-letter it; `reason` is one word."""

    reason: str
    error: str
    trace: str = ""


class Snoozed(NamedTuple):
    """Run it again in `delay` seconds; no failure."""

    delay: float


class HandBack(NamedTuple):
    """Let another worker run it, as if we had never had it."""


class Abort(NamedTuple):
    """Cancel it, as was asked."""


Outcome = Succeeded | Retry | Bury | Snoozed | HandBack | Abort


class Decided(NamedTuple):
    """The handler ended in a child process, which has decided already: what it returned or raised stays there."""

    outcome: Outcome


Ending = Returned | Raised | TimedOut | Stopped | Cancelled | Decided


def decide(job: Claimed, ending: Ending) -> Outcome:
    """Say what becomes of `job` after an attempt that ended so."""
    match ending:
        case Returned(value):
            return _succeeded(value)
        case Stopped():
            return HandBack()
        case Cancelled():
            return Abort()
        case TimedOut(seconds, trace):
            return _failed(job, f"timeout: stopped after {seconds:g} s", trace)
        case Raised(error):
            return _raised(job, error)
        case Decided(outcome):
            return outcome


def _raised(job: Claimed, error: BaseException) -> Outcome:
    match error:
        case Snooze():
            return Snoozed(_wished_delay(error))
        case PermanentFailure():
            return Bury("permanent_failure", describe(error), trace_of(error))
        case UncertainEffect():
            return Bury("uncertain_effect", describe(error), trace_of(error))
        case RetryAfter():
            return _failed(job, describe(error), trace_of(error), _wished_delay(error))
        case _:
            return _failed(job, describe(error), trace_of(error))


def _succeeded(value: Any) -> Outcome:
    if value is None:
        return Succeeded(b"null")
    try:
        result = msgspec.json.encode(value)
    except Exception as error:  # noqa: BLE001 - whatever an encoder says of a value that is not ours
        return Bury("invalid_result", f"the handler returned {type(value).__name__}, which cannot be JSON: {describe(error)}")
    if len(result) > MAX_RESULT_BYTES:
        return Bury("result_too_large", f"the handler returned {len(result)} bytes of JSON, at most {MAX_RESULT_BYTES} are kept")
    return Succeeded(result)


def _failed(job: Claimed, error: str, trace: str = "", delay: float | None = None) -> Outcome:
    failures = job.failures + 1
    if failures >= job.max_attempts:
        return Bury("attempts_spent", error, trace)
    return Retry(retry.delay(job.backoff, failures) if delay is None else delay, error, trace)


def _wished_delay(wish: Snooze | RetryAfter) -> float:
    """Whatever a handler asks for, PostgreSQL and Redis must be able to store it; nonsense means now."""
    try:
        seconds = float(wish.seconds)
    except (AttributeError, TypeError, ValueError, OverflowError):  # of a subclass, or of a caller without a type checker
        return 0.0
    return min(max(seconds, 0.0), LONGEST_DELAY_SECONDS) if seconds == seconds else 0.0  # noqa: PLR0124 - NaN differs from itself


def describe(error: BaseException) -> str:
    """Return the error in one line that PostgreSQL can store."""
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - an exception whose __str__ fails, or exits
        text = type(error).__name__
    return clean(text, MAX_ERROR_CHARS)


def trace_of(error: BaseException) -> str:
    """Return the end of the error's traceback as PostgreSQL can store it."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - an exception that cannot be printed
        return ""
    return clean(text[-MAX_TRACEBACK_CHARS:], MAX_TRACEBACK_CHARS)


def clean(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, without what text columns refuse: NUL and lone surrogates."""
    return text[:limit].replace("\x00", "\\0").encode("utf-8", "replace").decode("utf-8")
