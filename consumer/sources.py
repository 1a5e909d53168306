"""Where a handler's input comes from: an artifact of another job, a data URL, or an address on the web."""

import base64
import binascii
import re

import msgspec

from consumer.artifact_access import artifacts_of
from shared.jobs import Context, PermanentFailure, RetryAfter

__all__ = ["ArtifactSource", "Source", "bytes_of"]

FETCH_SECONDS = 30.0
_BUSY = frozenset({408, 425, 429})  # a server's way to say: later
_LATER_SECONDS = 30.0
_ARTIFACT = "artifact:"
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


class ArtifactSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An artifact of a job."""

    job_id: str
    name: str


Source = ArtifactSource | str  # a text is artifact:<job-id>/<name>, http(s)://... or data:...;base64,...


def bytes_of(ctx: Context, source: Source, max_bytes: int) -> bytes:
    """Return what `source` holds, at most `max_bytes`. Blocks.

    Raises PermanentFailure when it can never be had; other errors, such as an artifact that is not there yet, may pass.
    """
    if isinstance(source, ArtifactSource):
        return artifacts_of(ctx).get(source.job_id, source.name, max_bytes)
    if source.startswith(_ARTIFACT):
        job_id, _, name = source.removeprefix(_ARTIFACT).partition("/")
        return artifacts_of(ctx).get(job_id, name, max_bytes)
    if source[:5].lower() == "data:":
        return _limited(_from_data_url(source), max_bytes)
    if source[:8].lower().startswith(("http://", "https://")):
        return _fetched(source, max_bytes)
    raise PermanentFailure("source: must be artifact:<job-id>/<name>, an http(s) URL or a data URL")


def _from_data_url(url: str) -> bytes:
    head = _DATA_URL.match(url)
    if head is None:
        raise PermanentFailure("source: a data URL must look like data:image/png;base64,...")
    try:
        return base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise PermanentFailure(f"source: the data URL is not base64: {error}") from error


def _limited(content: bytes, max_bytes: int) -> bytes:
    if len(content) > max_bytes:
        raise PermanentFailure(f"source: {len(content)} bytes, at most {max_bytes} are read")
    return content


def _fetched(url: str, max_bytes: int) -> bytes:
    """What fetches refuses addresses of our own network, and bodies that are too large, for good."""
    from consumer.outgoing import fetch_blocking  # noqa: PLC0415

    fetched = fetch_blocking("GET", url, max_bytes=max_bytes, timeout=FETCH_SECONDS)
    status: int = fetched.status
    if status == 200:
        body: bytes = fetched.body
        return body
    if 400 <= status < 500 and status not in _BUSY:
        raise PermanentFailure(f"source: the server answered {status}")
    raise RetryAfter(_LATER_SECONDS, f"source: the server answered {status}")
