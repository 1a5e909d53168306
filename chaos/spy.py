"""Tells the recorder about every attempt in this consumer, whoever wrote the handler. Imported through MILLSTREAM_HANDLERS."""

import threading
import time
from contextlib import ExitStack

from chaos.recorder import tell
from consumer.attempt import Attempt
from consumer.outcome import Decided, Ending, Returned, Succeeded
from shared import probe
from shared.models import Entry

_begin = Attempt.begin
_looking = threading.local()


def _looks_and_begins(attempt: Attempt) -> None:
    """Remember when it looks at its lease. That may be long ago when it can say so: threads wait for each other, and may be frozen."""
    _looking.since = time.monotonic()
    _begin(attempt)


def _started(attempt: Attempt) -> None:
    tell("start", job=attempt.job.id, n=attempt.job.attempt, worker=attempt.lease.worker, looked=_looking.since)


def _ended(detail: tuple[Attempt, Ending]) -> None:
    at = time.monotonic()
    attempt, ending = detail
    tell("end", job=attempt.job.id, n=attempt.job.attempt, worker=attempt.lease.worker, how=_how(ending), at=at)


def _how(ending: Ending) -> str:
    """Say how it ended; a child process has decided already."""
    found = ending.outcome if isinstance(ending, Decided) else ending
    return "returned" if isinstance(found, Returned | Succeeded) else type(found).__name__.lower()


def _acking(entries: list[Entry]) -> None:
    """Their jobs are COMPLETED, and that is on disk."""
    tell("settled", jobs=[entry.job_id for entry in entries])


setattr(Attempt, "begin", _looks_and_begins)  # noqa: B010 - said like this mypy lets us
_for_good = ExitStack()
_for_good.enter_context(probe.on("started", _started))
_for_good.enter_context(probe.on("ended", _ended))
_for_good.enter_context(probe.on("acking", _acking))
