"""The values that travel between the parts. Ids are UUIDv7 as text, durations are in seconds, JSON is bytes that nobody re-encodes."""

from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from shared.keys import lane_name

RawJson = bytes
Moment = Annotated[datetime, Meta(tz=True)]


class NewJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A validated submission, with its id and its defaults filled in. The query `submit` reads it as JSON, by the names of its fields."""

    id: str
    type: str
    payload: msgspec.Raw
    queue: str = "default"
    priority: str = "normal"
    delay: float | None = None
    run_at: datetime | None = None
    max_attempts: int = 4
    backoff: msgspec.Raw | None = None
    timeout: float | None = None
    expires_in: float | None = None
    tags: list[str] | None = None
    idempotency_key: str | None = None
    webhook_url: str | None = None
    fingerprint: bytes = b""

    @property
    def lane(self) -> str:
        """Where it queues up."""
        return lane_name(self.queue, self.priority)


class Due(NamedTuple):
    """A job that waits for its time."""

    id: str
    lane: str
    due_in: float


class Claimed(msgspec.Struct, frozen=True):
    """A job that this worker may run now. (id, attempt) and the lease are its fence. Field order is that of the query `claim`."""

    id: str
    type: str
    priority: str
    payload: RawJson
    attempt: int
    failures: int
    max_attempts: int
    backoff: RawJson | None
    timeout: float | None
    cancel_requested: bool
    checkpoint: RawJson | None = None  # what an earlier attempt left


class Seen(msgspec.Struct, frozen=True):
    """What PostgreSQL says of a job whose entry was met. Field order is that of the query `inspect`."""

    id: str
    type: str
    status: str
    priority: str
    attempt: int
    lease_id: str | None
    due_in: float
    expired: bool
    lease_alive: bool
    crashes: int
    served: bool  # a live worker knows its type


class Letter(NamedTuple):
    """A dead letter."""

    id: str
    type: str
    reason: str
    error: str
    attempts: int
    dead_at: datetime


class Placed(NamedTuple):
    """A letter as it is found in the DLQ stream. `reason` is UNKNOWN_JOB for an entry whose job nobody knows: it has no row."""

    place: str
    job_id: str
    attempts: int
    reason: str


UNKNOWN_JOB = "unknown_job"


class Reclaimed(NamedTuple):
    """A job that was taken from a dead worker: to run again, or dead with a letter."""

    id: str
    lane: str
    letter: Letter | None


class Replayed(NamedTuple):
    """A job that starts anew, and where its dead letter was."""

    id: str
    lane: str
    entry_id: str | None
    was_dead: bool


class Entry(NamedTuple):
    """An item of a stream. `job_id` is None for a foreign one that names no job."""

    lane: str
    entry_id: str
    job_id: str | None


class Portion(NamedTuple):
    """How much of the free slots a queue may fill: its share in any case, more when others leave something, never more than its limit."""

    queue: str
    share: int
    limit: int


class Lease(NamedTuple):
    """A worker process's proof of life: `id` fences what it settles, `worker` is its consumer name."""

    id: str
    worker: str


class TypeInfo(msgspec.Struct, frozen=True):
    """A job type as consumers published it."""

    type: str
    aliases: list[str]
    schema: dict[str, Any]
    defaults: dict[str, Any]
