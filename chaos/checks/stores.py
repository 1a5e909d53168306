"""Invariants 8, 10 and 11: Redis holds what it should in the end, and the two stores may be away as promised."""

from collections.abc import Iterator

from chaos.checks.invariant import HELD, invariant
from chaos.history import History, Request, Strike

LEAST_SECONDS = 1.0  # an outage has to last so long to judge what was answered during it
SETTLED_SECONDS = 0.3  # requests that were under way when it began
LEAST_SENT = 10
SHARE = 0.9
HELD_UP = ("freeze", "black_hole", "lock")  # in the names of faults


@invariant(10, "at rest streams, pending lists and ZSET are empty, consumers are alive, and the DLQ stream equals the FAILED rows")
def nothing_is_left(history: History) -> Iterator[str]:
    """As it was found when all jobs were over. A service that did not come back did not come to rest."""
    if history.stranded:
        return
    yield HELD
    for name, value in history.left.items():
        yield f"{name}: {value}"


@invariant(10, "a letter is added once, unless Redis has lost something or whoever adds it was held up")
def letters_are_added_once(history: History) -> Iterator[str]:
    """The reconciler would take the second away again, some seconds later."""
    if not any(strike.fault.startswith("redis.") or any(word in strike.fault for word in HELD_UP) for strike in history.strikes):
        yield HELD
        for job in history.letters_twice:
            yield f"{job}: has two letters of one death"


@invariant(11, "Redis away: submissions go on")
def redis_is_not_needed(history: History) -> Iterator[str]:
    """Nine in ten of those that were sent while nothing else was broken."""
    for strike in _outages(history, "redis"):
        sent = [request for request in history.requests if _within(request, strike) and request.answered - request.sent > 0]
        took = [request for request in sent if request.status in {200, 202}]
        if len(sent) >= LEAST_SENT:
            enough = len(took) >= SHARE * len(sent)
            yield HELD if enough else f"{strike.fault} ({strike.detail}): {len(took)} of {len(sent)} submissions were accepted"


@invariant(11, "PostgreSQL away: no 2xx")
def postgres_is_needed(history: History) -> Iterator[str]:
    """What cannot be committed is not accepted."""
    for strike in _outages(history, "postgres", alone=False):
        for request in history.requests:
            if _within(request, strike) and request.answered < _end(strike):
                refused = request.status not in {200, 202}
                yield HELD if refused else f"{strike.fault}: {len(request.ids)} jobs were accepted while it was away"


def _outages(history: History, store: str, *, alone: bool = True) -> Iterator[Strike]:
    for strike in history.strikes:
        if store not in strike.strikes or _end(strike) - strike.hit < LEAST_SECONDS:
            continue
        others = [other for other in history.strikes if other is not strike and other.covers(strike.began, _end(strike), LEAST_SECONDS)]
        if not (alone and others):
            yield strike


def _end(strike: Strike) -> float:
    """When its mending began: what comes back may answer for a while before we hear of it."""
    return strike.mending or strike.hit


def _within(request: Request, strike: Strike) -> bool:
    return strike.hit + SETTLED_SECONDS <= request.sent <= _end(strike) - SETTLED_SECONDS
