"""What is judged of the user's own jobs, and what is not: the report says so."""

from collections.abc import Callable

import pytest

from chaos.checks import check
from chaos.history import History
from chaos.report import OURS_ALONE
from tests.unit.test_chaos_checks import BREAKS, JOB, retried, sound


def theirs(history: History) -> History:
    """The same with jobs of a user."""
    history.rows = {job: row._replace(type="shop.order") for job, row in history.rows.items()}
    return history


def numbers(history: History) -> set[int]:
    """Return the invariants that something speaks against."""
    return {finding.number for finding in check(history)}


@pytest.mark.parametrize("damage", BREAKS, ids=lambda function: function.__name__)
def test_what_is_not_found_of_them_is_said(damage: Callable[[History], None]) -> None:
    """Everything else is found of them as of ours."""
    ours, others = sound(), sound()
    for history in (ours, others):
        damage(history)
    assert numbers(ours) - numbers(theirs(others)) <= {*OURS_ALONE}


def test_their_payloads_are_their_own() -> None:
    """Whatever names and values there are in them."""
    history = theirs(sound())
    history.rows[JOB] = history.rows[JOB]._replace(payload={"schedule": "weekly", "n": [1], "misdeed": 3})
    assert numbers(history) == set()


def test_when_they_are_tried_again_is_theirs() -> None:
    """Their types may have a back-off of their own."""
    history = retried()
    runs = history.runs[JOB]
    runs[-1].began, runs[-1].ended = runs[0].began + 0.6, runs[0].began + 0.7
    assert 8 in numbers(history)
    assert 8 not in numbers(theirs(history))
    assert 8 in OURS_ALONE
