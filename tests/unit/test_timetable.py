"""When schedules run: by table, through every shift of the clock."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.timetable import MOST_DUE, Timetable, check, due_ticks, knows_zone, next_tick, ticks

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def at(text: str) -> datetime:
    """Return the moment in UTC: `2026-03-29 01:00`, seconds if need be."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(timetable: Timetable, after: str, count: int) -> list[str]:
    """Return so many ticks as texts in UTC."""
    begin = at(after)
    return [f"{tick:%Y-%m-%d %H:%M:%S}".removesuffix(":00") for tick in islice(ticks(timetable, begin, begin), count)]


# In Berlin 2026-03-29 has no 02:00 to 02:59 (01:00 UTC on), 2026-10-25 has them twice (00:00 and 01:00 UTC on).
# In New York 2026-03-08 has no 02:00 to 02:59 (07:00 UTC on), 2026-11-01 has 01:00 to 01:59 twice (05:00 and 06:00 UTC on).
SHIFTS = [
    ("a missing time runs right after the jump", "30 2 * * *", BERLIN, "2026-03-28 12:00", ["2026-03-29 01:00", "2026-03-30 00:30"]),
    ("two missing times are one", "0,30 2 * * *", BERLIN, "2026-03-29 00:00", ["2026-03-29 01:00", "2026-03-30 00:00"]),
    ("the hour after it is not moved", "30 3 * * *", BERLIN, "2026-03-28 12:00", ["2026-03-29 01:30", "2026-03-30 01:30"]),
    ("a doubled time runs the first time", "30 2 * * *", BERLIN, "2026-10-24 12:00", ["2026-10-25 00:30", "2026-10-26 01:30"]),
    ("also when asked between the two", "45 2 * * *", BERLIN, "2026-10-25 01:15", ["2026-10-26 01:45"]),
    ("every hour is every hour", "15 * * * *", BERLIN, "2026-10-24 23:59", ["2026-10-25 00:15", "2026-10-25 01:15", "2026-10-25 02:15"]),
    ("in spring, too", "15 * * * *", BERLIN, "2026-03-29 00:00", ["2026-03-29 00:15", "2026-03-29 01:15", "2026-03-29 02:15"]),
    ("six fields: what the wall shows, not a missing time", "0 30 2 * * *", BERLIN, "2026-03-28 12:00", ["2026-03-30 00:30"]),
    ("six fields: and a doubled time twice", "0 30 2 * * *", BERLIN, "2026-10-24 12:00", ["2026-10-25 00:30", "2026-10-25 01:30"]),
    ("New York, missing", "30 2 * * *", NEW_YORK, "2026-03-07 12:00", ["2026-03-08 07:00", "2026-03-09 06:30"]),
    ("New York, doubled", "30 1 * * *", NEW_YORK, "2026-10-31 12:00", ["2026-11-01 05:30", "2026-11-02 06:30"]),
    ("New York, six fields", "0 30 1 * * *", NEW_YORK, "2026-10-31 12:00", ["2026-11-01 05:30", "2026-11-01 06:30"]),
    ("noon stays noon", "0 12 * * *", NEW_YORK, "2026-03-07 00:00", ["2026-03-07 17:00", "2026-03-08 16:00"]),
    ("half an hour's shift", "15 2 * * *", LORD_HOWE, "2026-10-03 00:00", ["2026-10-03 15:30", "2026-10-04 15:15"]),
    ("UTC has none", "30 2 * * *", "UTC", "2026-03-28 12:00", ["2026-03-29 02:30", "2026-03-30 02:30"]),
    ("seconds first", "*/20 * * * * *", "UTC", "2026-01-01 00:00", ["2026-01-01 00:00:20", "2026-01-01 00:00:40", "2026-01-01 00:01"]),
    ("leap days", "0 0 29 2 *", "UTC", "2026-01-01 00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
    ("the last day of a month", "0 0 L * *", "UTC", "2026-01-31 00:00", ["2026-02-28 00:00", "2026-03-31 00:00"]),
    ("names", "0 9 * jan mon-fri", "UTC", "2026-01-02 10:00", ["2026-01-05 09:00"]),
]


@pytest.mark.parametrize(("cron", "zone", "after", "wanted"), [row[1:] for row in SHIFTS], ids=[row[0] for row in SHIFTS])
def test_cron_follows_the_clock_of_its_zone(cron: str, zone: str, after: str, wanted: list[str]) -> None:
    """As cronsim says that Debian's cron does; moments are UTC."""
    assert first(Timetable(cron=cron, timezone=zone), after, len(wanted)) == wanted


def test_steps_are_counted_from_where_they_began() -> None:
    """`every` keeps its step whenever it is asked, and `at` is one moment."""
    begun = at("2026-01-01 00:00")
    every = Timetable(every=90)
    assert next_tick(every, begun, begun) == at("2026-01-01 00:01:30")
    assert next_tick(every, at("2026-01-01 00:01:29"), begun) == at("2026-01-01 00:01:30")
    assert next_tick(every, at("2026-01-01 00:01:30"), begun) == at("2026-01-01 00:03:00")
    assert next_tick(every, at("2025-12-31 00:00"), begun) == begun
    once = Timetable(at=begun)
    assert next_tick(once, begun - timedelta(microseconds=1), begun) == begun
    assert next_tick(once, begun, begun) is None


DUE = [
    ("on time", Timetable(every=60), "12:00:00", "12:00:00", ["12:00:00"]),
    ("before its time", Timetable(every=60), "12:00:01", "12:00:00", []),
    ("just before the next", Timetable(every=60), "12:00:00", "12:00:59", ["12:00:00"]),
    ("just when the next is due", Timetable(every=60), "12:00:00", "12:01:00", ["12:00:00", "12:01:00"]),
    ("cron", Timetable(cron="*/20 * * * *"), "12:00:00", "13:00:00", ["12:00:00", "12:20:00", "12:40:00", "13:00:00"]),
    ("once", Timetable(at=at("2026-01-01 12:00:00")), "12:00:00", "18:00:00", ["12:00:00"]),
]


@pytest.mark.parametrize(("timetable", "since", "now", "wanted"), [row[1:] for row in DUE], ids=[row[0] for row in DUE])
def test_due_ticks_are_those_from_the_first_to_now(timetable: Timetable, since: str, now: str, wanted: list[str]) -> None:
    """Both ends belong to it."""
    due = due_ticks(timetable, at(f"2026-01-01 {since}"), at(f"2026-01-01 {now}"))
    assert [f"{tick:%H:%M:%S}" for tick in due] == wanted


@pytest.mark.parametrize(
    "timetable",
    [
        Timetable(every=1),
        Timetable(every=0.3),
        Timetable(cron="* * * * * *"),
        Timetable(cron="*/7 * * * *", timezone=BERLIN),
        Timetable(cron="30 2 * * *", timezone=BERLIN),
        Timetable(cron="0,30 1,2 * * *", timezone=NEW_YORK),
        Timetable(cron="* * * * 1 *"),
    ],
    ids=str,
)
def test_after_years_only_the_newest_ticks_are_looked_at(timetable: Timetable) -> None:
    """They are found from the end, and are the same that a count from the beginning would find."""
    since, now = at("2026-11-03 00:00"), at("2026-11-03 00:00")
    before = next_tick(timetable, since - timedelta(days=3650), since - timedelta(days=3650))
    assert before is not None
    due = due_ticks(timetable, before, now)
    assert len(due) == MOST_DUE
    assert all(earlier < later for earlier, later in pairwise(due))
    following = list(islice(ticks(timetable, due[0], before), MOST_DUE))
    assert following[:-1] == due[1:], "none is left out"
    assert following[-1] > now, "the last one is the newest"


def test_a_limit_is_kept_from_both_sides() -> None:
    """Exactly as many as the limit are all; with one more the oldest is left out."""
    since = at("2026-01-01 00:00")
    every = Timetable(every=60)
    assert due_ticks(every, since, since + timedelta(minutes=9), most=10)[0] == since
    assert due_ticks(every, since, since + timedelta(minutes=10), most=10)[0] == since + timedelta(minutes=1)


GOOD = ["* * * * *", "59 23 31 12 7", "0 0 29 2 *", "0 0 30 2 MON", "59 * * * * *", "*/5 0-6,12 * * 1-5", "0 0 * * 5L", "0 0 * * MON#2"]
BAD = [
    ("0 0 31 2 *", "never fires"),
    ("0 0 30 2 *", "never fires"),
    ("0 0 31 4,6,9,11 *", "never fires"),
    ("0 0 0 31 2 *", "never fires"),
    ("60 * * * *", "bad minute"),
    ("* 24 * * *", "bad hour"),
    ("* * 0 * *", "bad day-of-month"),
    ("* * 32 * *", "bad day-of-month"),
    ("* * * 13 *", "bad month"),
    ("* * * * 8", "bad day-of-week"),
    ("60 * * * * *", "bad second"),
    ("5-1 * * * *", "bad minute"),
    ("*/0 * * * *", "bad minute"),
    ("* * * *", "has 4 fields"),
    ("* * * * * * *", "has 7 fields"),
    ("@daily", "has 1 fields"),
    ("", "has 0 fields"),
    ("\u0661 * * * *", "bad minute"),
]


@pytest.mark.parametrize("cron", GOOD)
def test_a_cron_expression_that_fires_is_taken(cron: str) -> None:
    """Whenever that may be."""
    now = at("2026-01-01 00:00")
    check(Timetable(cron=cron), now)
    assert next_tick(Timetable(cron=cron), now, now) is not None


@pytest.mark.parametrize(("cron", "why"), BAD)
def test_a_cron_expression_that_cannot_be_is_refused(cron: str, why: str) -> None:
    """With a sentence that says what is wrong; the 31st of February is no mistake in writing, it just never comes."""
    with pytest.raises(ValueError, match=why):
        check(Timetable(cron=cron), at("2026-01-01 00:00"))


FIELD = st.text(alphabet="0123456789*,-/#LWMONJAN", min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(fields=st.lists(FIELD, min_size=5, max_size=6), zone=st.sampled_from(["UTC", BERLIN]))
def test_whatever_is_written_is_taken_or_refused(fields: list[str], zone: str) -> None:
    """Nothing but ValueError comes out of an expression, and what is taken goes forward."""
    timetable, now = Timetable(cron=" ".join(fields), timezone=zone), at("2026-01-01 00:00")
    try:
        check(timetable, now)
    except ValueError:
        return
    tick = next_tick(timetable, now, now)
    assert tick is not None
    assert tick > now


@pytest.mark.parametrize(
    ("name", "known"),
    [("UTC", True), (BERLIN, True), ("Europe/Atlantis", False), ("../etc/passwd", False), ("/etc/localtime", False), ("", False)],
)
def test_zones_are_those_of_the_iana(name: str, *, known: bool) -> None:
    """A name is looked up, never opened as a path."""
    assert knows_zone(name) is known
