"""From the bytes of a submit body to a NewJob: everything a client may get wrong is found here, before anything is stored."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from producer.catalog import Catalog, KnownType
from producer.problems import ProblemError
from producer.webhook_url import problem as webhook_problem
from shared.ids import new_id
from shared.models import NewJob

MAX_JOB_BYTES = 1024 * 1024
LONGEST_DELAY_SECONDS = 10 * 365 * 86_400

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Exponential(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="exponential"):
    """Wait base * factor ** (failures - 1) seconds, at most max."""

    base: Annotated[float, Meta(ge=0, le=86_400)] = 2
    factor: Annotated[float, Meta(ge=1, le=100)] = 2
    max: Annotated[float, Meta(ge=0, le=LONGEST_DELAY_SECONDS)] = 3600
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0


class Fixed(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="fixed"):
    """Wait base seconds."""

    base: Annotated[float, Meta(ge=0, le=LONGEST_DELAY_SECONDS)] = 5
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0


class Submission(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /jobs. Field by field as docs/api.md has it."""

    type: Name
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    queue: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.\-]{1,64}\Z")] = "default"
    priority: Literal["high", "normal", "low"] = "normal"
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+\Z")] | None = None
    delay: Annotated[float, Meta(ge=0, le=LONGEST_DELAY_SECONDS)] | None = None
    run_at: Annotated[datetime, Meta(tz=True)] | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=1000)] | None = None
    backoff: Exponential | Fixed | None = None
    timeout: Seconds | None = None
    expires_in: Annotated[float, Meta(gt=0, le=LONGEST_DELAY_SECONDS)] | None = None
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]+\Z")]], Meta(max_length=20)] | None = None
    webhook_url: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None


_submission = msgspec.json.Decoder(Submission).decode
_value = msgspec.json.Decoder().decode
_encode = msgspec.json.encode


def parse(body: bytes, catalog: Catalog, idempotency_key: str | None = None) -> NewJob:
    """Return the job that `body` asks for. Raises ProblemError: 400 malformed, 413 too large, 422 invalid.

    `idempotency_key` is that of the header. KeyError is never raised for an unknown type: that is a 422 with the nearest names.
    """
    if len(body) > MAX_JOB_BYTES:
        raise ProblemError(413, f"a job may have {MAX_JOB_BYTES} bytes, this one has {len(body)}")
    wish = _decoded(body)
    try:
        payload = _payload(wish.payload)
        kind = catalog.find(wish.type)
        catalog.check_queue(wish.queue)
        if kind.is_system:
            raise _invalid(f"jobs of the type {kind.type} are made by the system", "/type")
        if wish.webhook_url is not None:
            _check_webhook(wish.webhook_url, catalog)
        kind.validate(payload)
        key = _key(wish, idempotency_key)
        return _new_job(wish, kind, key, _fingerprint(wish, kind, payload) if key else b"")
    except RecursionError as error:
        raise _problem(error, "/payload", body) from error


def _decoded(body: bytes) -> Submission:
    try:
        return _submission(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _problem(error, "", body) from error


def _payload(raw: msgspec.Raw) -> dict[str, Any]:
    data = bytes(raw)
    try:
        value = _value(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _problem(error, "/payload", data) from error
    if not isinstance(value, dict):
        raise _invalid("the payload must be an object", "/payload")
    if b"\\u0000" in data and _has_nul(value):
        raise _invalid("text must not contain NUL (\\u0000), which PostgreSQL cannot store as text", "/payload")
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


_AT = re.compile(r"^(.*) - at `(?:key in )?\$(.*)`$", re.DOTALL)


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _problem(error: Exception, base: str, text: bytes) -> ProblemError:
    """Malformed JSON is 400; well-formed JSON of the wrong shape is 422 with a pointer."""
    if isinstance(error, RecursionError):
        return ProblemError(400, "the JSON is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return ProblemError(400, "the body is not UTF-8")
    if not isinstance(error, msgspec.ValidationError):
        hint = "; is it a lone surrogate, such as \\ud800?" if _SURROGATE.search(text) else ""
        return ProblemError(400, f"malformed JSON: {error}{hint}")
    found = _AT.match(str(error))
    detail, path = found.groups() if found else (str(error), "")
    return _invalid(detail, base + _pointer(path))


def _pointer(path: str) -> str:
    """Turn msgspec's `.a[0][...]` into a JSON pointer; it does not name the key of a dict."""
    parts = re.findall(r"\.([^.\[]+)|\[(\d+)\]", path.replace("[...]", ""))
    return "".join(f"/{name or index}" for name, index in parts)


def _invalid(detail: str, pointer: str) -> ProblemError:
    return ProblemError(422, f"invalid job: {detail}", errors=[{"pointer": pointer, "detail": detail}])


def _run_at(wish: Submission) -> datetime | None:
    """When to run, None for now: a time that is over may also be one that PostgreSQL cannot hold."""
    if wish.run_at is None:
        return None
    if wish.delay is not None:
        raise _invalid("give delay or run_at, not both", "/run_at")
    now = datetime.now(UTC)
    if wish.run_at > now + timedelta(seconds=LONGEST_DELAY_SECONDS):
        raise _invalid("must be within ten years", "/run_at")
    return wish.run_at if wish.run_at > now else None


def _key(wish: Submission, header: str | None) -> str | None:
    if header is None or header == wish.idempotency_key:
        return wish.idempotency_key
    if wish.idempotency_key is not None:
        raise _invalid("differs from the header Idempotency-Key", "/idempotency_key")
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", header):
        raise ProblemError(400, "the header Idempotency-Key must be 1 to 255 visible ASCII characters")
    return header


def _check_webhook(url: str, catalog: Catalog) -> None:
    if problem := webhook_problem(url):
        raise _invalid(problem, "/webhook_url")
    if not catalog.signs_webhooks:
        raise _invalid("this server sends no webhooks: its MILLSTREAM_WEBHOOK_SECRET is not set", "/webhook_url")


def _fingerprint(wish: Submission, kind: KnownType, payload: dict[str, Any]) -> bytes:
    """The same request again gives the same bytes, whatever the order of its keys and whichever alias it uses."""
    fields = {name: getattr(wish, name) for name in Submission.__struct_fields__ if name not in {"idempotency_key", "payload", "type"}}
    if wish.webhook_url is None:  # keys that were used before there was this field stay good
        del fields["webhook_url"]
    meaning = [kind.type, payload, fields]
    return hashlib.blake2b(_encode(meaning, order="sorted"), digest_size=16).digest()


def _new_job(wish: Submission, kind: KnownType, key: str | None, fingerprint: bytes) -> NewJob:
    return NewJob(
        id=new_id(),
        type=kind.type,
        payload=wish.payload,
        queue=wish.queue,
        priority=wish.priority,
        delay=wish.delay,
        run_at=_run_at(wish),
        max_attempts=wish.max_attempts or kind.max_attempts,
        backoff=kind.backoff if wish.backoff is None else msgspec.Raw(_encode(wish.backoff)),
        timeout=wish.timeout or kind.timeout,
        expires_in=wish.expires_in,
        tags=wish.tags or None,
        idempotency_key=key,
        webhook_url=wish.webhook_url,
        fingerprint=fingerprint,
    )


def type_of(body: bytes) -> str:
    """Return the type that a body names, for one that `parse` has refused because of it."""
    return _decoded(body).type
