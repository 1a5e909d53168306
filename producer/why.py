"""Why is this job not running? From facts to one sentence, without asking anybody."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from shared.job_facts import Facts
from shared.lifecycle import Status

MOST_NAMED = 20  # types in a sentence
EXACT_UNTIL = 100
PUT_OFF = timedelta(seconds=15)  # consumer.triage.DEFER_SECONDS
SILENT_SHARE = 0.5  # of the lease: a heartbeat comes at least three times in it


class Why(NamedTuple):
    """`reason` is a word for programs, `why` a sentence for people, `more` has the numbers of the sentence for programs."""

    reason: str
    why: str
    more: dict[str, Any]


def explain(facts: Facts) -> Why:
    """Say where the job is, and if it does not run: what it waits for."""
    match facts.status:
        case Status.PROCESSING:
            return _running(facts)
        case Status.COMPLETED:
            return Why("completed", f"completed at {_at(facts.finished_at)} by attempt {facts.attempts}", {})
        case Status.FAILED:
            return _failed(facts)
        case Status.CANCELLED:
            return _cancelled(facts)
    return _waiting(facts)


# Over


def _failed(facts: Facts) -> Why:
    tries = f"attempt {facts.attempts}, failure {facts.failures} of {facts.max_attempts}"
    sentence = f"failed at {_at(facts.finished_at)} ({facts.reason or 'unknown'}; {tries}) and is in the dead-letter queue"
    return Why("failed", _with_error(sentence, facts), {"failed_because": facts.reason})


def _cancelled(facts: Facts) -> Why:
    if facts.reason == "expired":
        return Why("expired", f"expired: it had not been started by {_at(facts.expires_at)}", {"expired_at": facts.expires_at})
    return Why("cancelled", f"cancelled at {_at(facts.finished_at)}", {})


# Running


def _running(facts: Facts) -> Why:
    more: dict[str, Any] = {"worker": facts.worker, "started_at": facts.started_at, "attempt": facts.attempts}
    doing = f"running since {_at(facts.started_at)} on worker {facts.worker} (attempt {facts.attempts})"
    if not facts.lease_alive or facts.heartbeat_at is None:
        return Why("worker_dead", f"{doing}, but that worker is dead: another one takes it over within seconds", more)
    lease = timedelta(seconds=facts.lease_seconds or 0)
    if facts.now - facts.heartbeat_at > SILENT_SHARE * lease:
        ends_at = facts.heartbeat_at + lease
        more |= {"silent_since": facts.heartbeat_at, "taken_over_at": ends_at}
        silent = f"that worker has been silent since {_at(facts.heartbeat_at)}"
        return Why("worker_silent", f"{doing}, but {silent}: without a sign of life the job is taken over at {_at(ends_at)}", more)
    if facts.cancel_requested:
        return Why("stop_requested", f"{doing}; it has been asked to stop", more)
    return Why("running", doing, more)


# Waiting


def _waiting(facts: Facts) -> Why:
    """The first thing that keeps it waiting. What is due much later need not care yet whether anybody could run it."""
    if facts.expires_at is not None and facts.expires_at <= facts.now:
        sentence = f"expired: it had not been started by {_at(facts.expires_at)}, and will be cancelled when its turn comes"
        return Why("expired", sentence, {"expired_at": facts.expires_at})
    if facts.status != Status.PENDING and facts.run_at > facts.now:
        put_off = (
            facts.run_at - facts.now <= PUT_OFF
        )  # a job that nobody can run is looked at again and again: it is not the time that keeps it
        return (_without_worker(facts) if put_off else None) or _due_later(facts)
    if facts.paused:
        return Why("queue_paused", f"the queue {facts.queue} is paused", {"queue": facts.queue})
    return _without_worker(facts) or _in_line(facts)


def _due_later(facts: Facts) -> Why:
    due = f"{_at(facts.run_at)} ({_in(facts.run_at, facts.now)})"
    if facts.status == Status.RETRYING:
        sentence = f"waits for retry {facts.failures} of {facts.max_attempts - 1}, due at {due}"
        return Why("retry_later", _with_error(sentence, facts), {"due_at": facts.run_at})
    return Why("due_later", f"due at {due}", {"due_at": facts.run_at})


def _without_worker(facts: Facts) -> Why | None:
    if facts.workers == 0:
        return Why("no_worker", "no worker is alive; start one with `python -m consumer`", {})
    if facts.serving == 0:
        sentence = f"no live worker serves the queue {facts.queue} ({_workers(facts.workers)} serve{'s' * (facts.workers == 1)} others)"
        return Why("no_worker_for_queue", sentence, {"queue": facts.queue})
    if facts.able == 0:
        named = ", ".join(facts.types[:MOST_NAMED]) + (", ..." if len(facts.types) > MOST_NAMED else "")
        sentence = f"no live worker handles the type {facts.type}; {_workers(facts.workers)} handle{'s' * (facts.workers == 1)}: {named}"
        return Why("no_worker_for_type", sentence, {"types": facts.types})
    if facts.willing == 0:
        sentence = f"{_workers(facts.able)} could run it, but {'is' if facts.able == 1 else 'are'} about to end"
        return Why("workers_draining", sentence, {})
    return None


def _in_line(facts: Facts) -> Why:
    if facts.run_at > facts.now:
        sentence = f"no worker could take it at its last turn; its next one is at {_at(facts.run_at)} ({_in(facts.run_at, facts.now)})"
        return Why("due_later", sentence, {"due_at": facts.run_at})
    if facts.ahead or facts.ahead_more:
        return Why(
            "behind_others",
            f"waits for a free worker behind {_about(facts.ahead, more=facts.ahead_more)} of the same stream",
            {"ahead": facts.ahead},
        )
    return Why("next", f"waits for a free worker; it is next in line, due since {_at(facts.run_at)}", {"ahead": 0})


# Words


def _with_error(sentence: str, facts: Facts) -> str:
    return f"{sentence}; the last error: {facts.error}" if facts.error else sentence


def _workers(count: int) -> str:
    return f"{count} live worker{'s' * (count != 1)}"


def _about(count: int, *, more: bool) -> str:
    """Exact where it is small; else two digits, for the line has moved on before anybody reads it."""
    if count >= EXACT_UNTIL:
        unit = 10 ** (len(str(count)) - 2)
        return f"{'more than' if more else 'about'} {round(count / unit) * unit:,} jobs"
    return f"{'more than ' * more}{count} job{'s' * (count != 1)}"


def _at(moment: datetime | None) -> str:
    return "an unknown time" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _in(moment: datetime, now: datetime) -> str:
    """How long from now, in the largest units that matter."""
    seconds = max(0.0, (moment - now).total_seconds())
    if seconds < 90:
        return f"in {seconds:.0f} s"
    if seconds < 90 * 60:
        return f"in {seconds / 60:.0f} min"
    return f"in {seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"in {seconds / 86_400:.0f} days"
