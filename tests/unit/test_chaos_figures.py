"""What a chaos run says of itself: how jobs ended, and which ran twice."""

from chaos.figures import Figures, figures_of
from chaos.history import History, Moved, Request, Row, Run, Strike, Tried

ONE, TWO = "machine:11:a", "machine:12:b"  # workers


def accepted(
    history: History,
    job: str,
    answered: float,
    began: float,
    *,
    state: str = "COMPLETED",
    reason: str | None = None,
    kind: str = "chaos.work",
) -> None:
    """Add a job that was due at once."""
    history.requests.append(Request(answered - 0.01, [1], None, answered, 202, [job]))
    history.rows[job] = Row(job, kind, state, 1, 0, 0, 4, ONE, reason, {}, None, None, None, answered, began + 1)
    history.moves[job] = [Moved(job, answered, None, "PENDING", None, 0, None, None)]
    history.runs[job] = [Run(job, 1, ONE, began, began + 0.1, "returned")]


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


def test_what_ran_again_is_told_by_type_and_by_id() -> None:
    """Not what failed or was given back, which was asked for."""
    history = History()
    for job, outcome in (("a", "lost"), ("b", "failed"), ("c", "handed_back")):
        accepted(history, job, 1.0, 1.1)
        history.tried[job] = [Tried(job, 1, ONE, 1.1, 11.0, outcome, "")]
        history.runs[job].append(Run(job, 2, TWO, 12.0, 12.1, "returned"))
    found = figures_of(history)
    assert (found.again, found.allowed, found.again_by_type) == (1, 1, {"chaos.work": 1})
    assert found.examples == [("a", "chaos.work", 2)]


def test_a_claim_that_postgresql_forgot_is_told_apart() -> None:
    """The job runs again as the same attempt, and no lease was lost."""
    history = History()
    accepted(history, "a", 1.0, 1.1)
    history.moves["a"].append(Moved("a", 5.0, "PENDING", "PROCESSING", 0, 1, None, "l1"))
    history.leases["l1"] = TWO
    history.runs["a"].append(Run("a", 1, TWO, 5.0, 5.1, "returned"))
    found = figures_of(history)
    assert (found.again, found.allowed, found.forgotten) == (1, 0, 1)


def strike(fault: str, began: float, healed: float) -> Strike:
    """One without a victim."""
    return Strike(fault, "a kind", [], [], began, began, healed=healed)


def test_faults_that_meet_are_counted_by_their_names() -> None:
    """Of different names, each two of them that were under way at the same time."""
    history = History(strikes=[strike("b", 1.0, 9.0), strike("a", 2.0, 3.0), strike("a", 2.5, 4.0), strike("c", 4.5, 5.0)])
    assert figures_of(history).pairs == {"a + b": 2, "b + c": 1}


def test_clients_that_ask_again_are_counted() -> None:
    """They have no answer, and send the same key once more."""
    asked = [(None, 202), ("k1", 0), ("k1", 0), ("k1", 202), ("k2", 202)]
    history = History(requests=[Request(1.0, [1], key, 1.1, status, []) for key, status in asked])
    found = figures_of(history)
    assert (found.unanswered, found.repeated) == (2, 2)


def test_ends_of_a_users_jobs_are_told_by_type_with_an_error() -> None:
    """So that a fault of their handler is not taken for one of the service."""
    history = History()
    accepted(history, "a", 1.0, 1.1, state="FAILED", reason="attempts_spent", kind="shop.order")
    accepted(history, "b", 1.0, 1.1, kind="shop.order")
    accepted(history, "c", 1.0, 1.1, state="FAILED", reason="attempts_spent")
    for job in "ac":
        history.tried[job] = [Tried(job, 1, ONE, 1.1, 1.2, "failed", error) for error in ("IndexError: 3", "KeyError: 'id'")]
    total = Figures()
    total.add(figures_of(history))
    failed = "shop.order FAILED: attempts_spent"
    assert total.ends == {failed: 1, "shop.order COMPLETED": 1, "FAILED: attempts_spent": 1}
    assert total.errors == {failed: "KeyError: 'id'"}
