"""Which due ticks make jobs, by table."""

from datetime import UTC, datetime, timedelta

import pytest

from consumer.misfires import GRACE, Decision, decide
from shared.misfire import catch_up

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATE = GRACE + timedelta(microseconds=1)
HOUR = [NOW - timedelta(minutes=minutes) for minutes in range(60, 0, -1)]  # an outage of an hour: the newest tick is a minute old
FRESH = [*HOUR, NOW - SECOND]  # and one that has just come
BUSY_SECONDS = [NOW - number * SECOND for number in (3, 2, 1)]  # three ticks of a second's step within the grace

CASES = [
    ("nothing due", [], "skip", [], 0),
    ("on time: skip", [NOW], "skip", [NOW], 0),
    ("on time: coalesce", [NOW], "coalesce", [NOW], 0),
    ("as late as the grace", [NOW - GRACE], "skip", [NOW - GRACE], 0),
    ("later than the grace: skip", [NOW - LATE], "skip", [], 1),
    ("later than the grace: coalesce", [NOW - LATE], "coalesce", [NOW - LATE], 0),
    ("later than the grace: catch up", [NOW - LATE], "catch_up(3)", [NOW - LATE], 0),
    ("a hiccup is no outage: skip", BUSY_SECONDS, "skip", BUSY_SECONDS, 0),
    ("a hiccup is no outage: coalesce", BUSY_SECONDS, "coalesce", BUSY_SECONDS, 0),
    ("a hiccup is no outage: catch up", BUSY_SECONDS, "catch_up(1)", BUSY_SECONDS, 0),
    ("an hour: skip", HOUR, "skip", [], 60),
    ("an hour: coalesce", HOUR, "coalesce", HOUR[-1:], 59),
    ("an hour: catch up", HOUR, "catch_up(5)", HOUR[-5:], 55),
    ("an hour: catch up with more than there is", HOUR, "catch_up(1000)", HOUR, 0),
    ("an hour and a fresh one: skip", FRESH, "skip", FRESH[-1:], 60),
    ("an hour and a fresh one: coalesce", FRESH, "coalesce", FRESH[-1:], 60),
    ("an hour and a fresh one: catch up", FRESH, "catch_up(2)", FRESH[-2:], 59),
]


@pytest.mark.parametrize(("due", "misfire", "run", "skipped"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_misfire_policies(due: list[datetime], misfire: str, run: list[datetime], skipped: int) -> None:
    """After an outage the policy decides about everything that is due; what was not run is counted, and the newest of it named."""
    decision = decide(due, NOW, misfire)
    rest = [tick for tick in due if tick not in run]
    reason = "misfire" if rest else None
    assert decision == Decision(run, skipped, rest[-1] if rest else None, reason)


OVERLAPS = [
    ("free, one tick", [NOW], False, [NOW], None),
    ("busy, one tick", [NOW], True, [], "overlap"),
    ("free, several ticks: the newest", BUSY_SECONDS, False, BUSY_SECONDS[-1:], "overlap"),
    ("busy, several ticks", BUSY_SECONDS, True, [], "overlap"),
]


@pytest.mark.parametrize(("due", "busy", "run", "reason"), [case[1:] for case in OVERLAPS], ids=[case[0] for case in OVERLAPS])
def test_jobs_that_must_not_overlap(due: list[datetime], *, busy: bool, run: list[datetime], reason: str | None) -> None:
    """One at most, none while one is under way, and the reason says so."""
    decision = decide(due, NOW, "coalesce", alone=True, busy=busy)
    assert (decision.run, decision.skipped_count, decision.skipped_reason) == (run, len(due) - len(run), reason)


def test_a_misfire_that_overlaps_nothing_is_called_a_misfire() -> None:
    """Ticks that were missed anyway are not blamed on a job that runs."""
    assert decide(HOUR, NOW, "coalesce", alone=True).skipped_reason == "misfire"
    assert decide(HOUR, NOW, "skip", alone=True, busy=True).skipped_reason == "misfire"
    assert decide(HOUR, NOW, "catch_up(5)", alone=True).skipped_reason == "overlap"


@pytest.mark.parametrize(
    ("text", "number"),
    [("catch_up(1)", 1), ("catch_up(1000)", 1000), ("catch_up(0)", None), ("catch_up(1001)", None), ("catch_up()", None), ("skip", None)],
)
def test_catch_up_has_its_number(text: str, number: int | None) -> None:
    """From 1 to 1000."""
    assert catch_up(text) == number
