"""What the status and the type of an answer mean for the job that asked."""

from consumer.outgoing import Fetched, FetchError
from consumer.outgoing.retry_after import retry_after
from shared.errors import PermanentFailure, RetryAfter

__all__ = ["check_answer"]

LATER_SECONDS = 60.0  # for a server that says "later" without saying when
_MARKUP = ("application/xhtml+xml", "application/xml")


def check_answer(fetched: Fetched) -> None:
    """Raise unless it is a page: PermanentFailure, RetryAfter or FetchError."""
    status = fetched.status
    if status in {408, 429, 503}:
        raise RetryAfter(retry_after(fetched.headers, LATER_SECONDS), f"the server answers {status}")
    if status >= 500:
        raise FetchError(f"the server answers {status}")
    if not 200 <= status < 300:
        raise PermanentFailure(f"the server answers {status}")
    kind = fetched.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and not (kind.startswith("text/") or kind in _MARKUP or kind.endswith("+xml")):
        raise PermanentFailure(f"the server answers {kind[:100]!r}, which is neither HTML nor XML nor text")
