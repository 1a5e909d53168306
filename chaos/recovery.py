"""How long it takes after a fault until the service is as it was before."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from chaos.history import History, Moved, Strike, Tried
from shared.lifecycle import Status

WAITING = {Status.PENDING, Status.SCHEDULED, Status.RETRYING}
LATE_SECONDS = 1.0  # what begins so long after it could have, or is refused, is not as before


class Wait(NamedTuple):
    """Somebody wanted something at `since` and had it at `until`: a job its run, a client its answer."""

    since: float
    until: float


class Recovery:
    """Answers for one history."""

    def __init__(self, history: History) -> None:
        waits = sorted(Wait(*wait) for wait in _runs(history))
        self._since = [wait.since for wait in waits]
        self._latest = list(accumulate((wait.until for wait in waits), max))
        self._strikes = sorted(strike.began for strike in history.strikes)
        self._late = sorted([*(wait for wait in waits if wait.until - wait.since > LATE_SECONDS), *_refusals(history)])

    def seconds(self, strike: Strike) -> float | None:
        """From its healing until all that should have run by then does, and nothing that came after it waits or is refused any more.

        Who had not waited long when the next fault struck waits for that one. None when it was never healed. A process that was killed is
        healed at once: the time until it was started again is part of this.
        """
        if (healed := strike.healed) is None:
            return None
        waited = bisect_right(self._since, healed)
        over = max(healed, self._latest[waited - 1]) if waited else healed
        following = self._strikes[bisect_right(self._strikes, healed) :]
        next_strike = following[0] if following else float("inf")  # who comes LATE_SECONDS before it is not late until it strikes
        for wait in self._late[bisect_right(self._late, Wait(healed, float("inf"))) :]:
            if wait.since > min(over + LATE_SECONDS, next_strike - LATE_SECONDS):
                break
            over = max(over, wait.until)
        return over - healed


def _refusals(history: History) -> Iterator[Wait]:
    """Submissions that were refused, or never answered, though the client was patient."""
    for request in history.requests:
        if request.patient and not request.accepted:
            yield Wait(request.sent, request.answered)


def _runs(history: History) -> Iterator[Wait]:
    """Each run, and since when it could have begun."""
    for job, runs in history.runs.items():
        due = _due(history.moves[job], _lost(history, job))
        for run in runs:
            if (since := due.get(run.attempt)) is not None:
                yield Wait(since, run.began)


def _due(moves: Sequence[Moved], lost: Mapping[int, float]) -> Mapping[int, float]:
    """By attempt since when it could have begun: when it was due, or since the one before was lost."""
    found: dict[int, float] = {}
    since: float | None = None
    for move in moves:
        if move.went_to in WAITING:
            since = lost.get(move.before or 0, move.due) if move.came_from == Status.PROCESSING else move.due
        elif move.went_to == Status.PROCESSING and since is not None:
            found[move.after or 0] = since
    return found


def _lost(history: History, job: str) -> Mapping[int, float]:
    return {tried.attempt: _lost_at(history, tried) for tried in history.tried[job] if tried.outcome == "lost"}


def _lost_at(history: History, tried: Tried) -> float:
    """When its worker died, or the last moment at which it can have said that it lives; not before the attempt began."""
    died = history.deaths.get(tried.pid, (tried.ended + 1, 0))[0]
    return died if died <= tried.ended else max(tried.ended - history.lease_seconds, tried.began or 0.0)
