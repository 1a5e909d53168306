"""How many jobs a worker may take, by slots, by what is unsettled, and by the bytes of payloads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.slots import LARGEST_BYTES, UNSETTLED_PER_SLOT, WORTH_HALVING, Slots

PLENTY = 10**12


def test_every_slot_is_free_at_first() -> None:
    """Until they are used, one by one."""
    slots = Slots(10, PLENTY)
    assert slots.free(0, 0) == 10
    slots.take([b"{}"] * 4)
    assert (slots.free(0, 4), slots.used) == (6, 4)
    slots.end()
    assert slots.free(0, 4) == 7


def test_what_is_in_hand_needs_a_slot() -> None:
    """It is claimed next."""
    assert Slots(10, PLENTY).free(3, 0) == 7
    assert Slots(10, PLENTY).free(10, 0) == 0


def test_many_slots_are_filled_in_halves() -> None:
    """So that one half is read while the other is claimed."""
    assert Slots(WORTH_HALVING, PLENTY).free(0, 0) == WORTH_HALVING // 2
    assert Slots(WORTH_HALVING - 1, PLENTY).free(0, 0) == WORTH_HALVING - 1


def test_too_many_unsettled_jobs_stop_the_reading() -> None:
    """A database that settles nothing must not be handed ever more."""
    assert Slots(10, PLENTY).free(0, 10 * UNSETTLED_PER_SLOT) == 0


def test_nothing_larger_than_allowed_is_held_from_the_start() -> None:
    """Before any payload was seen each may be of the largest kind."""
    assert Slots(1000, 10 * LARGEST_BYTES).free(0, 0) == 10


def test_large_payloads_leave_slots_empty() -> None:
    """Ten of a hundred kB in a MB, and no more until one is settled, though its handler has ended."""
    slots = Slots(1000, 1_000_000)
    payload = b"x" * 100_000
    slots.take([payload])
    for _ in range(9):
        slots.take([payload])
    slots.end()
    assert slots.free(0, 10) == 0
    slots.settle([payload])
    assert slots.free(0, 9) == 1
    assert slots.free(1, 9) == 0


def test_one_job_fits_however_large_it_is() -> None:
    """When nothing else is held."""
    slots = Slots(10, 1000)
    assert slots.free(0, 0) == 1
    slots.take([b"x" * 5000])
    assert slots.free(0, 1) == 0
    slots.end()
    slots.settle([b"x" * 5000])
    assert slots.free(0, 0) == 1


def test_a_lost_lease_lets_go_of_all() -> None:
    """Its jobs belong to others."""
    slots = Slots(10, LARGEST_BYTES)
    slots.take([b"x" * LARGEST_BYTES])
    slots.end()
    assert slots.free(0, 0) == 0
    slots.let_go()
    assert slots.free(0, 0) == 1


def test_small_payloads_are_soon_believed() -> None:
    """A few batches after large ones the slots alone count again."""
    slots = Slots(100, 2 * LARGEST_BYTES)
    for _ in range(20):
        batch = [b"{}"] * slots.free(0, 0)
        slots.take(batch)
        for _ in batch:
            slots.end()
        slots.settle(batch)
    assert slots.free(0, 0) == 100


@given(st.integers(1, 2000), st.integers(1, 10**9), st.lists(st.integers(0, LARGEST_BYTES), max_size=30), st.integers(0, 50))
def test_it_never_offers_more_than_there_is(count: int, limit: int, sizes: list[int], in_hand: int) -> None:
    """Whatever came before; and it never waits for a settle when nothing is held."""
    slots = Slots(count, limit)
    payloads = [bytes(size) for size in sizes[:count]]
    slots.take(payloads)
    assert 0 <= slots.free(in_hand, len(payloads)) <= max(count - len(payloads) - in_hand, 0)
    for _ in payloads:
        slots.end()
    slots.settle(payloads)
    assert slots.free(0, 0) >= 1


@pytest.mark.parametrize("count", [1, 2])
def test_few_slots_are_filled(count: int) -> None:
    """Halves of them would be none."""
    assert Slots(count, PLENTY).free(0, 0) == count
