"""Reading request bodies: media types, sizes and time limits."""

import asyncio
import json

import msgspec
from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError

from producer.problems import ProblemError, first_line
from producer.requests import MAX_JOB_BYTES

MAX_BULK_BYTES = 16 * 1024 * 1024
BODY_SECONDS = 30.0

_JSON = "application/json"
_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


async def json_body(request: web.Request) -> bytes:
    """Return the body of one job. Raises ProblemError: 415 for another media type, 413 when too large, 408 when it does not come."""
    if request.headers.get(hdrs.CONTENT_TYPE) != _JSON:
        _refuse_unless(request, (_JSON,))
    if (request.content_length or 0) > MAX_JOB_BYTES:
        raise ProblemError(413, f"a job may have {MAX_JOB_BYTES} bytes")
    return await _read(request)


async def job_items(request: web.Request, most: int) -> list[bytes]:
    """Return the jobs of a bulk body, a JSON array or NDJSON, as one JSON text each."""
    kind = _refuse_unless(request, (_JSON, *_NDJSON))
    body = await _read(request)
    items = _array(body) if kind == _JSON else [line for line in body.splitlines() if line.strip()]
    if len(items) > most:
        raise ProblemError(413, f"a bulk request may have {most} jobs, this one has {len(items)}")
    return items


def _refuse_unless(request: web.Request, allowed: tuple[str, ...]) -> str:
    if request.content_type not in allowed or request.headers.get(hdrs.CONTENT_TYPE) is None:
        raise ProblemError(415, f"send the header Content-Type: {' or '.join(allowed)}")
    return request.content_type


async def _read(request: web.Request) -> bytes:
    if request.content.is_eof():  # it came with the headers, as nearly all do
        return _whole(request.content.read_nowait())
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ProblemError(408, f"the body did not arrive within {BODY_SECONDS:g} s", closes=True) from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
        raise ProblemError(400, f"the body could not be read to its end: {first_line(error)}", closes=True) from error


def _whole(body: bytes) -> bytes:
    if len(body) > MAX_BULK_BYTES:
        raise ProblemError(413, "the body is too large")
    return body


def _array(body: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in _items(body)]
    except RecursionError:
        raise ProblemError(400, "the JSON is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise ProblemError(422, f"a bulk body is a JSON array of jobs: {error}") from error
    except msgspec.DecodeError as error:
        return _lenient(body, error)


def _lenient(body: bytes, error: Exception) -> list[bytes]:
    """One job with what JSON only just allows, such as a lone surrogate, spoils the array: cut it up so that its index can be named."""
    try:
        items = json.loads(body)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise ProblemError(400, f"malformed JSON: {error}") from error
    return [json.dumps(item).encode() for item in items]
