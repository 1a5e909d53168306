"""When a server wants to be asked again: the header Retry-After (RFC 9110, 10.2.3)."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

__all__ = ["retry_after"]

MAX_SECONDS = 86_400.0


def retry_after(headers: Mapping[str, str], default: float) -> float:
    """Return seconds, 0 to a day; `default` without the header, or when it is nonsense.

    A date counts from the server's own Date: its clock need not be ours.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), MAX_SECONDS)
    try:
        until = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return default
    return min(max(until.total_seconds(), 0.0), MAX_SECONDS)
