"""What a chaos run says of itself: how long recovery took, and how jobs ended."""

from chaos.figures import Figures, figures_of
from chaos.history import History, Moved, Request, Row, Run, Strike, Tried

ONE, TWO = "machine:11:a", "machine:12:b"  # workers


def accepted(history: History, job: str, answered: float, began: float, *, state: str = "COMPLETED", reason: str | None = None) -> None:
    """Add a job that was due at once."""
    history.requests.append(Request(answered - 0.01, [1], None, answered, 202, [job]))
    history.rows[job] = Row(job, "chaos.work", state, 1, 0, 0, 4, ONE, reason, {}, None, None, None, answered, began + 1)
    history.moves[job] = [Moved(job, answered, None, "PENDING", None, 0, None, None)]
    history.runs[job] = [Run(job, 1, ONE, began, began + 0.1, "returned")]


def test_recovery_is_over_when_the_last_job_has_begun_that_waited() -> None:
    """Not when the first one has that came later."""
    history = History(strikes=[Strike("redis.flush", "Redis", ["redis"], [], 99.0, 99.0, healed=100.0)])
    accepted(history, "stuck", 98.0, 144.0)
    accepted(history, "prompt", 100.5, 100.6)
    accepted(history, "before", 97.0, 97.1)
    assert figures_of(history).recovery == {"redis.flush": [44.0]}


def test_what_left_nobody_waiting_took_no_time() -> None:
    """It counts all the same."""
    history = History(strikes=[Strike("redis.flush", "Redis", ["redis"], [], 99.0, 99.0, healed=100.0)])
    accepted(history, "before", 97.0, 97.1)
    assert figures_of(history).recovery == {"redis.flush": [0.0]}


def test_a_kill_is_over_when_the_last_job_that_ran_there_has_begun_again() -> None:
    """From the death on."""
    history = History(strikes=[Strike("consumer.kill", "SIGKILL", [], [11], 100.0, 100.0, healed=100.0)], deaths={11: (100.0, -9)})
    accepted(history, "a", 99.0, 99.5)
    history.tried["a"] = [Tried("a", 1, ONE, 99.5, 110.0, "lost", "")]
    history.runs["a"].append(Run("a", 2, TWO, 110.5, 110.6, "returned"))
    assert figures_of(history).recovery == {"consumer.kill": [10.5]}


def test_ends_are_told_by_state_and_reason() -> None:
    """That nothing was lost does not say that all was done."""
    history = History()
    accepted(history, "a", 1.0, 1.1)
    accepted(history, "b", 1.0, 1.1, state="FAILED", reason="crashed")
    accepted(history, "c", 1.0, 1.1, state="FAILED", reason="crashed")
    total = Figures()
    for _ in range(2):
        total.add(figures_of(history))
    assert total.ends == {"COMPLETED": 2, "FAILED: crashed": 4}
    assert (total.accepted, total.lost) == (6, 0)
