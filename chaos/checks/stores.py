"""Invariants 10 and 11: Redis holds what it should in the end, and the two stores may be away as promised."""

from collections.abc import Iterator

from chaos.checks.invariant import HELD, invariant
from chaos.history import CALM_SECONDS, History, Request, Strike

LEAST_SECONDS = 1.0  # an outage has to last so long to judge what was answered during it
SETTLED_SECONDS = 0.3  # requests that were under way when it began
LEAST_SENT = 10
PULLED = ("network.refuse", "network.black_hole")
NEEDED = ("producer.", "postgres.", "upgrade.", "clock.")  # how the names of faults begin that may strike producers or PostgreSQL
HINDERED_SECONDS = 6.0  # after it: connections are made anew
HELD_UP = (".freeze", ".black_hole", "postgres.lock")  # in the names of faults


@invariant(10, "at rest streams, pending lists and ZSET are empty")
def nothing_is_left(history: History) -> Iterator[str]:
    """As it was found when all jobs were over, and at the end. A service that did not come back did not come to rest."""
    return _left(history, "entries")


@invariant(10, "at rest all consumers are alive, and in the end there are none")
def no_ghosts_are_left(history: History) -> Iterator[str]:
    """In the groups, and by their leases."""
    return _left(history, "ghosts")


@invariant(10, "at rest the DLQ stream equals the FAILED rows, and counters what they count")
def the_books_agree(history: History) -> Iterator[str]:
    """Each letter has its place noted, too."""
    return _left(history, "books")


def _left(history: History, shelf: str) -> Iterator[str]:
    if not history.stranded:
        yield HELD
        yield from history.left.get(shelf, ())


@invariant(10, "a letter is added once, unless Redis has lost something or whoever adds it was held up")
def letters_are_added_once(history: History) -> Iterator[str]:
    """The reconciler would take the second away again, some seconds later."""
    for at, job, twice in history.letters:
        if not (twice and _may_be_doubled(history, at)):
            yield f"{job}: has two letters of one death" if twice else HELD


def _may_be_doubled(history: History, at: float) -> bool:
    margin = history.lease_seconds + CALM_SECONDS
    held_up = any(any(word in strike.fault for word in HELD_UP) and strike.covers(at, at, margin) for strike in history.strikes)
    since = _rebuilding_since(history, at, margin)
    return held_up or any(strike.fault.startswith("redis.") and strike.covers(since, at, margin) for strike in history.strikes)


def _rebuilding_since(history: History, at: float, margin: float) -> float:
    """Return since when whoever puts back what Redis has lost may have been killed at it, again and again."""
    for died in sorted((died for died, _ in history.deaths.values() if died <= at), reverse=True):
        if at - died > margin:
            break
        at = died
    return at


@invariant(11, "Redis away: submissions go on")
def redis_is_not_needed(history: History) -> Iterator[str]:
    """All that were sent while nothing else was broken that submissions need, by clients that wait as long as clients do."""
    for strike in _outages(history, "redis"):
        if any(_hinders(other) and other.covers(strike.began, _end(strike), HINDERED_SECONDS) for other in history.strikes):
            continue
        sent = [request for request in history.requests if _within(request, strike) and request.patient]
        took = sum(request.accepted for request in sent)
        if len(sent) >= LEAST_SENT:
            yield HELD if took == len(sent) else f"{strike.fault} ({strike.detail}): {took} of {len(sent)} submissions were accepted"


@invariant(11, "PostgreSQL away: no 2xx")
def postgres_is_needed(history: History) -> Iterator[str]:
    """What cannot be committed is not accepted."""
    for strike in _outages(history, "postgres"):
        for request in history.requests:
            if _within(request, strike) and request.answered < _end(strike):
                yield f"{strike.fault}: {len(request.ids)} jobs were accepted while it was away" if request.accepted else HELD


def _outages(history: History, store: str) -> Iterator[Strike]:
    """When it could not be reached: as a whole, or by the producers."""
    for strike in history.strikes:
        pulled = strike.fault in PULLED and strike.detail == f"producer to {store}"
        if (store in strike.strikes or pulled) and _end(strike) - strike.hit >= LEAST_SECONDS:
            yield strike


def _hinders(strike: Strike) -> bool:
    """Whether submissions may be refused because of it, with Redis away or not."""
    return strike.aim == "producer to postgres" or strike.fault.startswith(NEEDED)


def _end(strike: Strike) -> float:
    """When its mending began: what comes back may answer for a while before we hear of it."""
    return strike.mending or strike.hit


def _within(request: Request, strike: Strike) -> bool:
    return strike.hit + SETTLED_SECONDS <= request.sent <= _end(strike) - SETTLED_SECONDS
