"""What GET /jobs and its like may be asked: the parameters of lists, and the shape of a page."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

import msgspec

from producer import cursor
from producer.problems import invalid
from shared.job_filter import Filter
from shared.job_views import Page
from shared.keys import PRIORITIES

MOST_LISTED = 1000
DEFAULT_LISTED = 50
FILTERS = ("status", "type", "queue", "priority", "tag", "q", "created_after", "created_before", "schedule", "limit", "cursor")


def page_body(page: Page) -> dict[str, Any]:
    """Return the page as clients see it."""
    return {"jobs": page.jobs, "next_cursor": cursor.encode(page.last_id) if page.last_id else None, "partial": page.partial}


def wanted(query: Any, allowed: Sequence[str] = FILTERS) -> tuple[Filter, int]:
    """Return which jobs are wanted, and how many. Raises ProblemError: 422 for what cannot be, 400 for a cursor that is not ours."""
    _check_names(query, allowed)
    given = {name: value for name, value in query.items() if name not in {"limit", "cursor"}}
    if any("\x00" in value or not _is_text(value) for value in given.values()):
        raise invalid("a parameter must be text in UTF-8 without NUL")
    if "status" in given:
        given["status"] = given["status"].upper().split(",")
    if given.get("priority", "normal") not in PRIORITIES:
        raise invalid(f"priority must be one of {', '.join(PRIORITIES)}", "/priority")
    if "cursor" in query:
        given["before_id"] = cursor.decode(query["cursor"])
    try:
        chosen = msgspec.convert(given, Filter, strict=False)
        check_moments(chosen)
    except (msgspec.ValidationError, OverflowError) as error:
        raise invalid(f"{error}; times look like 2026-01-31T12:00:00Z, and in a URL + is written %2B") from error
    return chosen, _limit(query.get("limit", str(DEFAULT_LISTED)))


def _check_names(query: Any, allowed: Sequence[str]) -> None:
    if unknown := [name for name in query if name not in allowed]:
        raise invalid(f"unknown parameter {unknown[0][:50]!r}; known: {', '.join(allowed)}")
    if twice := [name for name in query if len(query.getall(name)) > 1]:
        raise invalid(f"the parameter {twice[0]} is given twice; several states are written status=PENDING,FAILED", f"/{twice[0]}")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST_LISTED):
        raise invalid(f"limit must be from 1 to {MOST_LISTED}", "/limit")
    return int(text)


def check_moments(chosen: Filter) -> None:
    """Raise OverflowError for the first and the last hours of the calendar, which have no UTC."""
    for moment in (chosen.created_after, chosen.created_before, chosen.dead_after, chosen.dead_before):
        _ = moment and moment.astimezone(UTC)
