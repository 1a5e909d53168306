"""Which bytes of a file a request asks for (RFC 9110, 13 and 14): conditions and one range. Pure."""

from typing import NamedTuple

from aiohttp import hdrs, web

from producer.problems import ProblemError
from shared.artifacts import Found


class Span(NamedTuple):
    """Bytes from `start` up to, not including, `end`. `is_part`: not all there are."""

    start: int
    end: int
    is_part: bool


def is_unchanged(request: web.Request, found: Found) -> bool:
    """Whether the client already has this version."""
    known = request.headers.get(hdrs.IF_NONE_MATCH, "")
    return known.strip() == "*" or found.version in {tag.strip().removeprefix("W/") for tag in known.split(",")}


def span_of(request: web.Request, found: Found) -> Span:
    """Return what to send. Everything, too, for several ranges, for units other than bytes, and when the file is another one by now.

    Raises ProblemError (416) for a range that begins behind the end.
    """
    size = found.artifact.bytes
    whole = Span(0, size, is_part=False)
    if request.headers.get(hdrs.IF_RANGE, found.version) != found.version:
        return whole
    try:
        wanted = request.http_range
    except ValueError:
        return whole
    if wanted.start is None and wanted.stop is None:
        return whole
    start = max(0, size + wanted.start) if wanted.start < 0 else wanted.start
    if start >= size:
        raise ProblemError(416, f"the file has {size} bytes", headers={hdrs.CONTENT_RANGE: f"bytes */{size}"})
    return Span(start, min(size, size if wanted.stop is None else wanted.stop), is_part=True)
