"""A schedule as clients see it."""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from shared.job_template import shown
from shared.schedule_store import Stored
from shared.timetable import ticks

NEXT_RUNS = 5


def view(stored: Stored, now: datetime, statuses: Mapping[str, str]) -> dict[str, Any]:
    """Return what GET shows: the definition as it was put, then what became of it. Reads files: time zones."""
    timetable = stored.schedule.timetable
    when = {name: getattr(timetable, name) for name in ("cron", "every", "at") if getattr(timetable, name) is not None}
    return {
        "name": stored.schedule.name,
        **when,
        "timezone": timetable.timezone,
        "misfire": stored.schedule.misfire,
        "overlap": stored.schedule.overlap,
        "paused": stored.paused,
        **shown(stored.schedule.template),
        "next_runs": next_runs(stored, now),
        "last_run": _last_run(stored, statuses),
        "skipped": {"count": stored.skipped_count, "last_tick": stored.skipped_tick, "reason": stored.skipped_reason},
        "created_at": stored.created_at,
        "updated_at": stored.updated_at,
    }


def next_runs(stored: Stored, now: datetime, most: int = NEXT_RUNS) -> list[datetime]:
    """Return the next ticks; none while it is paused or when it is over."""
    if stored.paused or stored.next_at is None:
        return []
    return list(islice(ticks(stored.schedule.timetable, now, stored.next_at), most))


def _last_run(stored: Stored, statuses: Mapping[str, str]) -> dict[str, Any] | None:
    """The state of its job is None when the retention has deleted that."""
    if stored.last_job_id is None:
        return None
    return {"tick": stored.last_tick, "job_id": stored.last_job_id, "status": statuses.get(stored.last_job_id)}
