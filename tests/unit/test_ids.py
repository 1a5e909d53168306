"""Job ids are UUIDv7 (RFC 9562): they carry their time, and sort by it."""

import time
import uuid

import pytest

from shared.ids import floor_id, new_id, parse_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    """Version, variant, canonical form, and the time in its first 48 bits."""
    before = time.time_ns() // 1_000_000
    text = new_id()
    value = uuid.UUID(text)
    assert str(value) == text
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert before <= value.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_later_ids_sort_after_earlier_ones() -> None:
    """As text and as numbers, many within one millisecond, none twice."""
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert [uuid.UUID(text).int for text in ids] == sorted(uuid.UUID(text).int for text in ids)


def test_the_floor_of_a_time_divides_older_from_newer() -> None:
    """It is smaller than every id of that moment, and greater than those of before."""
    earlier = new_id()
    now = time.time()
    assert floor_id(now + 1) > new_id() > floor_id(now - 1)
    assert earlier > floor_id(now - 1)
    assert floor_id(-5) == "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("01900000-0000-7000-8000-00000000000a", "01900000-0000-7000-8000-00000000000a"),
        ("01900000-0000-7000-8000-00000000000A", "01900000-0000-7000-8000-00000000000a"),
        (b"01900000-0000-7000-8000-00000000000A", "01900000-0000-7000-8000-00000000000a"),
        ("0190000000007000800000000000000a", None),
        ("{1900000-0000-7000-8000-00000000000}", None),
        ("01900000-0000-7000-8000-00000000000g", None),
        ("", None),
        ("x" * 36, None),
        (b"\xff" * 36, None),
        (None, None),
    ],
)
def test_only_the_usual_form_is_an_id(text: str | bytes | None, parsed: str | None) -> None:
    """36 characters, any case; everything else names no job."""
    assert parse_id(text) == parsed
