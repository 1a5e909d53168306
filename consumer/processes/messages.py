"""What a consumer and its children say to each other: MessagePack behind a length of four bytes."""

import builtins
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from shared import errors
from shared.models import Claimed
from shared.settings import Settings

HEADER_BYTES = 4
MAX_BYTES = 8 * 1024 * 1024  # a payload or a result is at most 1 MiB; whoever announces more has lost the thread


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base of them all."""


# To the child


class Hello(Message, frozen=True):
    """The first one: the settings of the consumer, wherever it has them from."""

    settings: Settings


class Run(Message, frozen=True):
    """Run this job."""

    job: Claimed


class Stop(Message, frozen=True):
    """Ask the handler of this job to end; one that has ended does not hear it."""

    job_id: str
    timed_out: bool


class Answer(Message, frozen=True):
    """What a call returned, or the error that it raised."""

    number: int
    value: Any = None
    error: "RemoteError | None" = None


# To the consumer


class Ready(Message, frozen=True):
    """The handlers are imported."""


class Unfit(Message, frozen=True):
    """They cannot be; the child ends."""

    problems: list[str]


class Call(Message, frozen=True):
    """Await the coroutine method of that name on the job's remote object, and answer."""

    number: int
    job_id: str
    method: str
    args: list[Any]


class Line(Message, frozen=True):
    """An event for the log; `fields` is a JSON object."""

    level: int
    event: str
    fields: bytes = b"{}"


class Ended(Message, frozen=True):
    """What becomes of the job: an outcome by the name of its class."""

    kind: str  # empty: the handler gave in to Stop
    fields: list[Any]
    tired: bool  # the child wants no further job


ToChild = Hello | Run | Stop | Answer
ToConsumer = Ready | Unfit | Call | Line | Ended


class RemoteError(msgspec.Struct, frozen=True):
    """An exception that crosses over: its class by name, its words, and those attributes that are plain data."""

    name: str
    message: str
    attributes: dict[str, Any]

    @classmethod
    def of(cls, error: Exception) -> "RemoteError":
        """Describe `error`."""
        return cls(type(error).__name__, str(error), {name: value for name, value in vars(error).items() if _is_plain(value)})

    def revive(self) -> Exception:
        """Return an exception that says the same: of the same class if it is one of ours or Python's, else a RuntimeError."""
        known = getattr(errors, self.name, None) or getattr(builtins, self.name, None)
        if not (isinstance(known, type) and issubclass(known, Exception)):
            return RuntimeError(f"{self.name}: {self.message}")
        error = known.__new__(known)  # not called: what its constructor wants is not known here
        error.args = (self.message,)
        vars(error).update(self.attributes)
        return error


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def encode(message: Message) -> bytes:
    """Return it with its length in front. Raises ValueError for one that is too long, TypeError for what is no plain data."""
    body = _encoder.encode(message)
    if len(body) > MAX_BYTES:
        raise ValueError(f"{len(body)} bytes are more than a message to or from a child process may have ({MAX_BYTES})")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def length(header: bytes) -> int:
    """Return how many bytes follow. Raises ValueError for a length that no message has."""
    size = int.from_bytes(header, "big")
    if size > MAX_BYTES:
        raise ValueError("the announced length is that of no message")
    return size


def _to_plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be sent to or from a child process")


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_plain)
to_child: Callable[[bytes], ToChild] = msgspec.msgpack.Decoder(ToChild, dec_hook=lambda kind, value: kind(value)).decode
to_consumer: Callable[[bytes], ToConsumer] = msgspec.msgpack.Decoder(ToConsumer).decode
