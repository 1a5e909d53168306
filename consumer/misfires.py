"""Which of the due ticks become jobs: a pure decision."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.misfire import SKIP, catch_up

GRACE = timedelta(seconds=5)  # a tick that is later is missed: nobody was there to make its job


class Decision(NamedTuple):
    """Ticks that make a job, oldest first, and what is left of the others."""

    run: Sequence[datetime]
    skipped_count: int = 0
    skipped_tick: datetime | None = None  # the newest
    skipped_reason: str | None = None  # misfire, overlap


def decide(due: Sequence[datetime], now: datetime, misfire: str, *, alone: bool = False, busy: bool = False) -> Decision:
    """Decide about `due` ticks, oldest first. `alone`: never two jobs at a time; `busy`: one is under way."""
    timely = _timely(due, now, misfire)
    run = _one_at_most(timely, busy=busy) if alone else timely
    skipped = due[: len(due) - len(run)]  # the newest ones run
    if not skipped:
        return Decision(run)
    return Decision(run, len(skipped), skipped[-1], "misfire" if len(run) == len(timely) else "overlap")


def _timely(due: Sequence[datetime], now: datetime, misfire: str) -> Sequence[datetime]:
    """All, if none was missed. Otherwise there was an outage, and the policy decides about all that are due."""
    if not due or now - due[0] <= GRACE:
        return due
    if misfire == SKIP:
        return due[-1:] if now - due[-1] <= GRACE else []
    return due[-(catch_up(misfire) or 1) :]


def _one_at_most(due: Sequence[datetime], *, busy: bool) -> Sequence[datetime]:
    return [] if busy else due[-1:]
