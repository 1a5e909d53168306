"""From the body of PUT /schedules/{name} to a Schedule: its own fields here, those of its job as POST /jobs reads them."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from producer.problems import ProblemError, invalid
from producer.requests import LONGEST_DELAY_SECONDS, MAX_JOB_BYTES
from shared.misfire import COALESCE, MOST_CAUGHT_UP, SKIP, catch_up
from shared.timetable import Timetable, check, knows_zone

SHORTEST_STEP_SECONDS = 1
OF_SINGLE_JOBS = ("idempotency_key", "delay", "run_at")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")


class CatchUp(msgspec.Struct, forbid_unknown_fields=True):
    """The same as the text `catch_up(n)`."""

    catch_up: Annotated[int, Meta(ge=1, le=MOST_CAUGHT_UP)]


class Timing(msgspec.Struct, forbid_unknown_fields=True):
    """What a schedule has beyond a submit body. Field by field as docs/schedules.md has it."""

    cron: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    every: Annotated[float, Meta(ge=SHORTEST_STEP_SECONDS, le=LONGEST_DELAY_SECONDS)] | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    timezone: Annotated[str, Meta(min_length=1, max_length=100)] = "UTC"
    misfire: str | CatchUp = COALESCE
    overlap: Literal["allow", "skip"] = "allow"
    paused: bool | None = None


class Wish(NamedTuple):
    """A checked request. `job` is a submit body; `paused` None: as it is."""

    timetable: Timetable
    misfire: str
    overlap: str
    paused: bool | None
    job: bytes


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_timing = msgspec.json.Decoder(Timing).decode
_OURS = frozenset(Timing.__struct_fields__)


def is_name(text: str) -> bool:
    """Whether a schedule may be called so."""
    return _NAME.fullmatch(text) is not None


def parse(body: bytes, now: datetime) -> Wish:
    """Return what `body` asks for. Raises ProblemError: 400 malformed, 413 too large, 422 invalid. Reads files: time zones.

    Whether it will ever run is judged from `now` on; its job is not looked at.
    """
    if len(body) > MAX_JOB_BYTES:
        raise ProblemError(413, f"a schedule may have {MAX_JOB_BYTES} bytes, this one has {len(body)}")
    fields = _decoded(body)
    if single := [name for name in OF_SINGLE_JOBS if name in fields]:
        raise _invalid("a schedule says when its jobs run and makes many; this field is for a single job", f"/{single[0]}")
    timing = _timing_of(fields)
    job = msgspec.json.encode({name: part for name, part in fields.items() if name not in _OURS})
    return Wish(_timetable(timing, now), _misfire(timing.misfire), timing.overlap, timing.paused, job)


def _decoded(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _fields(body)
    except RecursionError as error:
        raise ProblemError(400, "the JSON is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ProblemError(400, "the body is not UTF-8") from error
    except msgspec.ValidationError as error:
        raise _invalid("a schedule is an object", "") from error
    except msgspec.DecodeError as error:
        raise ProblemError(400, f"malformed JSON: {error}") from error


def _timing_of(fields: dict[str, msgspec.Raw]) -> Timing:
    """One field at a time, so that the pointer names it."""
    values: dict[str, Any] = {}
    for name in _OURS & fields.keys():
        try:
            values[name] = getattr(_timing(msgspec.json.encode({name: fields[name]})), name)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _invalid(str(error).partition(" - at ")[0], f"/{name}") from error
    return Timing(**values)


def _timetable(timing: Timing, now: datetime) -> Timetable:
    given = [name for name in ("cron", "every", "at") if getattr(timing, name) is not None]
    if len(given) != 1:
        raise _invalid("give exactly one of cron, every and at", f"/{given[1]}" if given else "")
    if not knows_zone(timing.timezone):
        raise _invalid("is no IANA time zone, such as Europe/Berlin", "/timezone")
    cron = " ".join(timing.cron.split()) if timing.cron is not None else None
    timetable = Timetable(cron=cron, every=timing.every, at=_in_utc(timing.at), timezone=timing.timezone)
    try:
        check(timetable, now)
    except ValueError as error:
        raise _invalid(str(error), "/cron") from error
    return timetable


def _in_utc(moment: datetime | None) -> datetime | None:
    try:
        return moment and moment.astimezone(UTC)
    except OverflowError:
        raise _invalid("must be a time that has a UTC", "/at") from None  # the first and last hours of the calendar have none


def _misfire(wanted: str | CatchUp) -> str:
    """Return the one form that is stored and shown."""
    if isinstance(wanted, CatchUp):
        return f"catch_up({wanted.catch_up})"
    if wanted in {SKIP, COALESCE}:
        return wanted
    number = catch_up(wanted)
    if number is None:
        raise _invalid(f"must be skip, coalesce or catch_up(n) with n from 1 to {MOST_CAUGHT_UP}", "/misfire")
    return f"catch_up({number})"


def _invalid(detail: str, pointer: str) -> ProblemError:
    return invalid(f"invalid schedule: {pointer.removeprefix('/')} {detail}".replace("  ", " "), pointer)
