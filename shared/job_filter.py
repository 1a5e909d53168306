"""Which jobs somebody wants, and the same in SQL."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from shared.ids import floor_id
from shared.lifecycle import TERMINAL, Status
from shared.models import Moment

# Ids are made by producers' clocks, created_at by PostgreSQL's. What lies between is read and thrown away: an hour of it would be millions
# of jobs on a busy day, and `millstream doctor` warns of two seconds.
CLOCK_SKEW_SECONDS = 60.0
LOWEST, HIGHEST = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; None means any. `before_id`: only jobs with smaller ids, which is how pages go on."""

    status: Sequence[Status] | None = None
    type: str | None = None
    queue: str | None = None
    priority: str | None = None
    tag: str | None = None
    q: str | None = None  # text within type, error or payload
    created_after: Moment | None = None
    created_before: Moment | None = None
    schedule: str | None = None
    reason: str | None = None
    dead_after: Moment | None = None  # of dead-lettered jobs; the end of others counts, too
    dead_before: Moment | None = None
    ids: Sequence[str] | None = None
    before_id: str | None = None


_CONDITIONS = {
    "status": "status = ANY({}::job_status[])",
    "type": "type = {}",
    "queue": "queue = {}",
    "priority": "priority = {}::job_priority",
    "tag": "{} = ANY(tags)",
    "q": "position(lower({}) IN lower(concat_ws(' ', type, error, payload::text))) > 0",
    "created_after": "created_at >= {}",
    "created_before": "created_at < {}",
    "schedule": "id IN (SELECT job_id FROM schedule_runs WHERE schedule = {})",
    "reason": "reason = {}",
    "dead_after": "finished_at >= {}",
    "dead_before": "finished_at < {}",
    "ids": "id = ANY({}::uuid[])",
}


def conditions(wanted: Filter, first: int) -> tuple[str, list[Any]]:
    """Return an SQL condition over a row of `jobs`, and its arguments from $first on. `before_id` is left out: see `bounds`."""
    found: list[str] = ["true"]
    args: list[Any] = []
    for name, condition in _CONDITIONS.items():
        value = getattr(wanted, name)
        if value is not None:
            found.append(condition.format(f"${first + len(args)}"))
            args.append(value)
    return " AND ".join(found), args


def bounds(wanted: Filter) -> tuple[str, str]:
    """Return the smallest id that can be meant, and the smallest above it that cannot: ids sort by age."""
    low, high = LOWEST, wanted.before_id or HIGHEST
    if wanted.created_after is not None:
        low = floor_id(wanted.created_after.timestamp() - CLOCK_SKEW_SECONDS)
    if wanted.created_before is not None:
        high = min(high, floor_id(wanted.created_before.timestamp() + CLOCK_SKEW_SECONDS))
    return low, high


def only_open(wanted: Filter) -> bool:
    """Whether only jobs that are not over can be meant: an index has them alone."""
    return wanted.status is not None and not TERMINAL & set(wanted.status)


def only_dead(wanted: Filter) -> bool:
    """Whether only jobs with a dead letter can be meant."""
    return wanted.status is not None and set(wanted.status) == {Status.FAILED}


def narrow(wanted: Filter) -> bool:
    """Whether there may be jobs between the bounds that are not meant, and that must be looked at all the same."""
    return replace(wanted, before_id=None) != Filter()


def without_status(wanted: Filter) -> Filter:
    """Return the same without the states, for who walks through jobs that are known to be in them."""
    return replace(wanted, status=None)
