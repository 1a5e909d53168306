"""How a handler is written: `@job("thumbnail", timeout=30)` on a function of (ctx, payload).

The decorator only describes and registers; importing a module of handlers has no other effect.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, Protocol, TypeVar, get_type_hints, overload

import msgspec

from shared.errors import (
    Interrupted,
    PermanentFailure,
    RetryAfter,
    Snooze,
    SoftTimeout,
    StaleAttemptError,
    UncertainEffect,
)

__all__ = [
    "MAX_RESULT_BYTES",
    "NOT_HAPPENED",
    "Context",
    "Executor",
    "Handler",
    "HandlerFunction",
    "Interrupted",
    "PermanentFailure",
    "RetryAfter",
    "Snooze",
    "SoftTimeout",
    "StaleAttemptError",
    "UncertainEffect",
    "job",
    "registered",
]

MAX_RESULT_BYTES = 1024 * 1024  # of JSON

Executor = Literal["async", "thread", "process"]
T = TypeVar("T")
Releases = type[Exception] | tuple[type[Exception], ...]


class NotHappened(Enum):
    """The type of NOT_HAPPENED."""

    NOT_HAPPENED = "not happened"


NOT_HAPPENED: Final = NotHappened.NOT_HAPPENED  # what the `uncertain` function of `Context.once` returns to have the effect run


class Context(Protocol):
    """What a handler may ask of and tell to millstream while it runs.

    In a coroutine handler `once` and `checkpoint` are awaited; in a plain one they block. docs/safe-effects.md tells what they promise.
    """

    job_id: str  # UUIDv7
    attempt: int  # grows with every claim, never reset; claims commit asynchronously, so a crash of PostgreSQL itself may repeat one
    #               that has neither stored a checkpoint nor begun an effect: within `once` the number is unique for ever
    log: Any  # structlog logger that carries job_id, type and attempt
    cancelled: bool  # True once the job should stop: its time is up, its worker drains or lost its lease
    resources: Mapping[str, Any]  # what the worker shares among handlers: settings, mailer, ...

    @property
    def checkpoint_data(self) -> Any:
        """What the newest checkpoint of this job holds, None before the first."""

    def checkpoint(self, data: Any) -> Any:
        """Store JSON (up to 1 MiB) with the job, for the next attempt. Awaited in a coroutine handler.

        Raises ValueError for what cannot be stored, StaleAttemptError when the job is not this attempt's any more.
        """

    def progress(self, percent: float, message: str = "") -> None:
        """Show in GET /jobs/{id} how far the job has come. Never blocks. Raises ValueError unless 0 <= percent <= 100."""

    @overload
    def once(
        self,
        key: str,
        fn: Callable[[], Awaitable[T]],
        *,
        uncertain: Callable[[], Awaitable[T | NotHappened]] | None = None,
        released_by: Releases = (),
    ) -> Awaitable[T]: ...

    @overload
    def once(
        self, key: str, fn: Callable[[], T], *, uncertain: Callable[[], T | NotHappened] | None = None, released_by: Releases = ()
    ) -> T: ...

    def once(self, key: str, fn: Any, *, uncertain: Any = None, released_by: Releases = ()) -> Any:
        """Run an effect that must not happen twice, and return its result as JSON has it (up to 64 KiB). Awaited in a coroutine handler.

        The reservation of `key` (1 to 200 characters) is on disk before `fn` begins. Once it has ended, every later attempt gets its
        result instead. An attempt that ended in between leaves the effect uncertain: then `uncertain` is asked for the result, or for
        NOT_HAPPENED; without it UncertainEffect is raised, which dead-letters the job for a person to decide. So it is also when `fn`
        raised: an answer may have been lost. Only PermanentFailure, RetryAfter, Snooze and `released_by` say that nothing happened.
        Raises StaleAttemptError when the job is not this attempt's any more.
        """


HandlerFunction = Callable[[Context, Any], Any | Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Handler:
    """One job type: its function, the shape of its payload and the defaults of its jobs."""

    type: str
    function: HandlerFunction
    payload_type: Any = dict[str, Any]  # a msgspec.Struct, or dict for any JSON object
    aliases: tuple[str, ...] = ()
    executor: Executor = "async"
    timeout: float | None = None  # seconds
    max_attempts: int | None = None
    backoff: Mapping[str, Any] | None = None  # as in a submit body
    memory_mb: int | None = None  # MiB that a handler in a child process may allocate
    decode: Callable[[bytes], Any] = msgspec.json.decode

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the payload."""
        if self.payload_type == dict[str, Any]:
            return {"type": "object"}
        return msgspec.json.schema(self.payload_type)

    def decoded(self, payload: bytes) -> Any:
        """Return the payload as the function wants it. Raises PermanentFailure for one that does not fit: it never will."""
        try:
            return self.decode(payload)
        except (msgspec.DecodeError, RecursionError) as error:
            raise PermanentFailure(f"invalid payload: {error}") from error


_registered: dict[str, Handler] = {}


def registered() -> dict[str, Handler]:
    """Every handler that was declared so far, by type."""
    return dict(_registered)


def job(
    type: str,  # noqa: A002 - the word that users write in a submit body
    *,
    aliases: tuple[str, ...] = (),
    executor: Executor | None = None,
    timeout: float | None = None,
    max_attempts: int | None = None,
    backoff: Mapping[str, Any] | None = None,
    memory_mb: int | None = None,
) -> Callable[[HandlerFunction], HandlerFunction]:
    """Register the decorated function as handler of `type`.

    The annotation of its second parameter is the payload's shape. `executor` defaults to "async" for coroutine functions and to
    "thread" for plain ones; "process" runs a plain one in a child process. `timeout` is in seconds. `memory_mb` limits what a
    handler in a child process may allocate (Linux). Raises ValueError when two functions claim one type.
    """

    def register(function: HandlerFunction) -> HandlerFunction:
        chosen: Executor = executor or ("async" if inspect.iscoroutinefunction(function) else "thread")
        if (chosen == "async") != inspect.iscoroutinefunction(function):
            raise ValueError(f"handler of {type!r}: executor {chosen!r} wants {'an async' if chosen == 'async' else 'a plain'} function")
        if memory_mb is not None and (chosen != "process" or memory_mb < 1):
            raise ValueError(f"handler of {type!r}: memory_mb is a number of MiB from 1, and wants executor 'process'")
        payload_type = _payload_type(function)
        declared = Handler(
            type=type,
            function=function,
            payload_type=payload_type,
            aliases=aliases,
            executor=chosen,
            timeout=timeout,
            max_attempts=max_attempts,
            backoff=backoff,
            memory_mb=memory_mb,
            decode=msgspec.json.Decoder(payload_type).decode,
        )
        _add(declared)
        return function

    return register


def _payload_type(function: HandlerFunction) -> Any:
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 2:
        raise ValueError(f"{function!r}: a handler takes (ctx, payload)")
    hint = get_type_hints(function).get(parameters[1], dict[str, Any])
    return dict[str, Any] if hint in (dict, Any) else hint


def _place(handler: Handler) -> tuple[str, str]:
    """Where a handler is written: a module that is imported again may declare it again."""
    return handler.function.__module__, handler.function.__qualname__


def _add(declared: Handler) -> None:
    taken = {name: known.type for known in _registered.values() for name in (known.type, *known.aliases)}
    for name in (declared.type, *declared.aliases):
        other = _registered.get(taken.get(name, ""))
        if other is not None and _place(other) != _place(declared):
            raise ValueError(f"two handlers claim the type {name!r}")
    _registered[declared.type] = declared
