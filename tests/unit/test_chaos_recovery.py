"""How long recovery took: until what had to wait has begun, and nothing waits or is refused any more."""

import pytest

from chaos.history import History, Moved, Request, Run, Strike, Tried
from chaos.recovery import Recovery

ONE, TWO = "machine:11:a", "machine:12:b"  # workers
HEALED = 100.0
STRIKE = Strike("redis.flush", "Redis", ["redis"], [], 99.0, 99.0, healed=HEALED)
MORE = 0.5


def history() -> History:
    return History(lease_seconds=10.0)


def ran(history: History, job: str, due: float, began: float, state: str = "PENDING") -> None:
    """Add a job that was due then, and began later."""
    history.moves[job] += [
        Moved(job, due - 1, None, state, None, 0, None, None, due=due),
        Moved(job, began, state, "PROCESSING", 0, 1, None, "lease", due=due),
    ]
    history.runs[job].append(Run(job, 1, ONE, began, began + 0.1, "returned"))


def ran_again(history: History, job: str, lost: float, began: float, outcome: str = "lost") -> None:
    """Its first attempt was noted as lost at that time, and it ran elsewhere."""
    history.tried[job] = [Tried(job, 1, ONE, history.runs[job][0].began, lost, outcome, "")]
    history.moves[job] += [
        Moved(job, lost, "PROCESSING", "PENDING", 1, 1, "lease", None, due=lost),
        Moved(job, began, "PENDING", "PROCESSING", 1, 2, None, "other", due=lost),
    ]
    history.runs[job].append(Run(job, 2, TWO, began, began + 0.1, "returned"))


def seconds(history: History, strike: Strike = STRIKE) -> float | None:
    return Recovery(history).seconds(strike)


@pytest.mark.parametrize("state", ["PENDING", "SCHEDULED", "RETRYING"])
def test_it_is_over_when_the_last_has_begun_that_was_due(state: str) -> None:
    """Not when the first one has that came later."""
    told = history()
    ran(told, "stuck", 98.0, 144.0, state)
    ran(told, "prompt", 100.5, 100.6)
    ran(told, "before", 97.0, 97.1)
    assert seconds(told) == 44.0


def test_what_left_nobody_waiting_took_no_time() -> None:
    """It counts all the same; what was never healed does not."""
    told = history()
    ran(told, "before", 97.0, 97.1)
    ran(told, "long after", 130.0, 150.0)  # of another fault
    assert seconds(told) == 0.0
    assert seconds(history()) == 0.0
    assert seconds(told, Strike("redis.flush", "Redis", ["redis"], [], 99.0, 99.0)) is None


def test_who_comes_after_the_healing_and_waits_counts() -> None:
    """One after the other, until somebody does not wait."""
    told = history()
    ran(told, "a", HEALED + MORE, HEALED + 4)
    ran(told, "b", HEALED + 4, HEALED + 7)
    ran(told, "c", HEALED + 8.5, HEALED + 8.6)
    ran(told, "d", HEALED + 9, HEALED + 20)
    assert seconds(told) == 7.0


def test_what_begins_to_wait_after_the_next_strike_is_of_that_one() -> None:
    """Who waited before goes on counting."""
    told = history()
    ran(told, "a", HEALED + MORE, HEALED + 4)
    ran(told, "b", HEALED + 4, HEALED + 7)
    told.strikes = [STRIKE, Strike("redis.kill", "Redis", ["redis"], [], HEALED + 3.5, HEALED + 3.6, healed=HEALED + 3.8)]
    assert seconds(told) == 4.0
    ran(told, "c", HEALED + 3, HEALED + 5)
    assert seconds(told) == 4.0, "it had waited for half a second when that came"
    ran(told, "d", HEALED + 2, HEALED + 5)
    assert seconds(told) == 5.0


def test_what_the_next_fault_cost_its_lease_has_not_waited_since_before_it_began() -> None:
    """When its worker last said that it lives is not known: a lease ago at most."""
    told = history()
    ran(told, "a", HEALED - 1, HEALED + MORE)
    ran(told, "b", HEALED + 4, HEALED + 4.1)
    ran_again(told, "b", HEALED + 11, HEALED + 12)
    told.strikes = [STRIKE, Strike("consumer.freeze.past", "SIGSTOP", [], [11], HEALED + 4.5, HEALED + 4.5, healed=HEALED + 17)]
    assert seconds(told) == MORE


def test_a_refusal_after_the_healing_counts() -> None:
    """Not one by an impatient client, nor an answer."""
    told = history()
    told.requests += [
        Request(HEALED + MORE, [1], None, HEALED + 3, 503, []),
        Request(HEALED + 3, [2], None, HEALED + 3.1, 202, ["b"]),
        Request(HEALED + 3.2, [2], None, HEALED + 3.3, 0, [], patient=False),
    ]
    assert seconds(told) == 3.0


def test_what_ran_on_who_died_has_waited_since_then() -> None:
    """Until it runs again, by somebody else."""
    told = history()
    told.deaths[11] = (99.9, -9)
    ran(told, "a", 99.0, 99.5)
    ran_again(told, "a", 110.0, 110.5)
    assert seconds(told) == 10.5


@pytest.mark.parametrize(("outcome", "expected"), [("lost", 6.0), ("failed", 0.0), ("handed_back", 0.0)])
def test_what_was_lost_by_who_lives_has_waited_for_a_lease(outcome: str, expected: float) -> None:
    """It cannot have been known to live since then. Who failed or gave it back was there."""
    told = history()
    told.deaths[11] = (300.0, 0)
    ran(told, "a", 90.0, 90.1)
    ran_again(told, "a", 105.5, 106.0, outcome)
    if outcome != "lost":
        told.runs["a"][1].began = 105.6
    assert seconds(told) == expected
