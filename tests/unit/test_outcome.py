"""What becomes of an attempt, by table: the decision is a pure function."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from consumer.outcome import (
    LONGEST_DELAY_SECONDS,
    Abort,
    Bury,
    Cancelled,
    Ending,
    HandBack,
    Outcome,
    Raised,
    Retry,
    Returned,
    Snoozed,
    Stopped,
    Succeeded,
    TimedOut,
    clean,
    decide,
)
from shared.errors import PermanentFailure, RetryAfter, Snooze, UncertainEffect
from shared.jobs import MAX_RESULT_BYTES
from shared.models import Claimed

ERROR = ValueError("wrong")


def claimed(failures: int = 0, max_attempts: int = 4, backoff: bytes | None = None) -> Claimed:
    """Return a job as a claim gives it."""
    return Claimed("id", "type", "normal", b"{}", 9, failures, max_attempts, backoff, None, False)


TABLE: list[tuple[Ending, int, Outcome]] = [
    (Returned(None), 0, Succeeded(b"null")),
    (Returned({"a": [1, 2.5, "ä", True]}), 0, Succeeded('{"a":[1,2.5,"ä",true]}'.encode())),
    (Returned(datetime(2026, 1, 2, tzinfo=UTC)), 0, Succeeded(b'"2026-01-02T00:00:00Z"')),
    (Returned(math.nan), 0, Succeeded(b"null")),
    (Returned("x" * (MAX_RESULT_BYTES - 2)), 0, Succeeded(b'"' + b"x" * (MAX_RESULT_BYTES - 2) + b'"')),
    (Stopped(), 0, HandBack()),
    (Cancelled(), 3, Abort()),
    (Stopped(), 3, HandBack()),
    (TimedOut(1.5), 0, Retry(2.0, "timeout: stopped after 1.5 s")),
    (TimedOut(1.5), 3, Bury("attempts_spent", "timeout: stopped after 1.5 s")),
    (Raised(Snooze(7)), 0, Snoozed(7.0)),
    (Raised(Snooze(7)), 3, Snoozed(7.0)),
    (Raised(Snooze(-7)), 0, Snoozed(0.0)),
    (Raised(Snooze(math.inf)), 0, Snoozed(LONGEST_DELAY_SECONDS)),
    (Raised(Snooze(math.nan)), 0, Snoozed(0.0)),
    (Raised(RetryAfter(7)), 0, Retry(7.0, "RetryAfter: retry after 7 s")),
    (Raised(RetryAfter(7, "busy")), 2, Retry(7.0, "RetryAfter: busy")),
    (Raised(RetryAfter(7, "busy")), 3, Bury("attempts_spent", "RetryAfter: busy")),
]


@pytest.mark.parametrize(("ending", "failures", "outcome"), TABLE)
def test_each_ending_has_its_outcome(ending: Ending, failures: int, outcome: Outcome) -> None:
    """Four attempts, so many of them failed already, and the attempt ended so."""
    decided = decide(claimed(failures), ending)
    assert (decided._replace(trace="") if isinstance(decided, Retry | Bury) else decided) == outcome


@pytest.mark.parametrize(("failures", "delay"), [(0, 2.0), (1, 4.0), (2, 8.0)])
def test_an_error_is_retried_after_a_growing_delay(failures: int, delay: float) -> None:
    """2, 4, 8 s; the fourth failure is the last."""
    outcome = decide(claimed(failures), Raised(ERROR))
    assert isinstance(outcome, Retry)
    assert (outcome.delay, outcome.error) == (delay, "ValueError: wrong")
    assert outcome.trace.rstrip().endswith("ValueError: wrong")
    assert isinstance(decide(claimed(3), Raised(ERROR)), Bury)


@pytest.mark.parametrize("ending", [Raised(RetryAfter(7, "busy")), TimedOut(1.5, "in the middle of busy")])
@pytest.mark.parametrize("failures", [0, 3])
def test_a_failure_says_where_it_was(ending: Ending, failures: int) -> None:
    """Also one that the handler asked for, and one that came from outside; on the last attempt as on the first."""
    outcome = decide(claimed(failures), ending)
    assert isinstance(outcome, Retry if failures == 0 else Bury)
    assert "busy" in outcome.trace


def test_an_uncertain_effect_is_buried_whatever_is_left() -> None:
    """A person decides; with the words that they need."""
    outcome = decide(claimed(0, 1000), Raised(UncertainEffect("charge", 7, datetime(2026, 1, 2, tzinfo=UTC))))
    assert isinstance(outcome, Bury)
    assert outcome.reason == "uncertain_effect"
    assert "'charge' happened is not known: attempt 7 began it at 2026-01-02T00:00:00+00:00" in outcome.error


def test_a_permanent_failure_is_buried_whatever_is_left() -> None:
    """With its words."""
    outcome = decide(claimed(0, 1000), Raised(PermanentFailure("no such customer")))
    assert isinstance(outcome, Bury)
    assert outcome[:2] == ("permanent_failure", "PermanentFailure: no such customer")


@pytest.mark.parametrize("value", [object(), {1: object()}, "\ud800", {"a": {1, object()}}, 1j, lambda: None])
def test_what_cannot_be_json_is_buried(value: Any) -> None:
    """Another attempt would return the same."""
    outcome = decide(claimed(), Returned(value))
    assert isinstance(outcome, Bury)
    assert outcome.reason == "invalid_result"


def test_what_is_too_large_is_buried() -> None:
    """One byte more than is kept."""
    outcome = decide(claimed(), Returned("x" * (MAX_RESULT_BYTES - 1)))
    assert isinstance(outcome, Bury)
    assert outcome.reason == "result_too_large"


@pytest.mark.parametrize(
    ("text", "kept"),
    [("plain", "plain"), ("a\x00b", "a\\0b"), ("a\ud800b", "a?b"), ("x" * 50, "x" * 20), ("ä€😀", "ä€😀")],
)
def test_text_is_made_storable(text: str, kept: str) -> None:
    """PostgreSQL refuses NUL and lone surrogates in text."""
    assert clean(text, 20) == kept
