"""Run a handler without servers, as a worker would: for the unit tests of handlers.

    result = await run_job(thumbnail, {"url": "..."})          # the function, or its type: run_job("thumbnail", ...)

The payload is decoded as the worker does it, the result comes back as JSON keeps it, what the handler raises is raised. What a
job keeps from one attempt to the next is in a `Memory`; give it to a second call to test what a retry does.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from types import MappingProxyType
from typing import Any

import msgspec

from shared.ids import new_id
from shared.jobs import MAX_RESULT_BYTES, Handler, HandlerFunction, registered
from shared.log import get_log

__all__ = ["Memory", "run_job"]

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass
class Memory:
    """What a job keeps, and what it has shown. Fill it beforehand to begin as a later attempt would."""

    checkpoint_data: Any = None  # the newest checkpoint
    effects: dict[str, Any] = field(default_factory=dict)  # results of ctx.once, by key
    progress: list[tuple[float, str]] = field(default_factory=list)  # (percent, message), oldest first


async def run_job(
    handler: HandlerFunction | str,
    payload: Any = NOTHING,
    *,
    attempt: int = 1,
    job_id: str | None = None,
    cancelled: bool = False,
    resources: Mapping[str, Any] = NOTHING,
    memory: Memory | None = None,
) -> Any:
    """Run a handler to its end, and return its result as GET /jobs/{id} would show it.

    `payload` is what a client would send: anything that JSON can hold, or its bytes. A handler with executor="process" runs in a
    thread here, and is not killed or limited. Raises what the handler raises, PermanentFailure for a payload that does not fit,
    TypeError or ValueError for a result that cannot be kept, LookupError for what is no handler.
    """
    declared = _declared(handler)
    raw = payload if isinstance(payload, bytes) else msgspec.json.encode(dict(payload) if isinstance(payload, Mapping) else payload)
    decoded = declared.decoded(raw)
    kind = AwaitedContext if declared.executor == "async" else BlockingContext
    context = kind(job_id or new_id(), attempt, cancelled, resources, Memory() if memory is None else memory)
    context.log = get_log().bind(job_id=context.job_id, job_type=declared.type, attempt=attempt)
    return _as_kept(await _called(declared, context, decoded))


class _Context:
    """What both kinds of handlers have in common; see shared.jobs.Context."""

    def __init__(self, job_id: str, attempt: int, cancelled: bool, resources: Mapping[str, Any], memory: Memory) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.cancelled = cancelled
        self.resources = resources
        self.log: Any = None
        self._memory = memory

    @property
    def checkpoint_data(self) -> Any:
        """What the newest checkpoint holds, None before the first."""
        return self._memory.checkpoint_data

    def progress(self, percent: float, message: str = "") -> None:
        """Note how far the job has come."""
        if not 0 <= percent <= 100:
            raise ValueError(f"progress is from 0 to 100 percent, not {percent}")
        self._memory.progress.append((percent, message))

    def _keep_checkpoint(self, data: Any) -> None:
        self._memory.checkpoint_data = _through_json(data)

    def _keep_effect(self, key: str, result: Any) -> Any:
        self._memory.effects[key] = _through_json(result)
        return self._memory.effects[key]


class AwaitedContext(_Context):
    """That of a coroutine handler."""

    async def checkpoint(self, data: Any) -> None:
        """Keep `data` for the next attempt."""
        self._keep_checkpoint(data)

    async def once(self, key: str, fn: Callable[[], Any], **_: Any) -> Any:
        """Run `fn` unless an earlier attempt has; nothing is ever uncertain here."""
        if key in self._memory.effects:
            return self._memory.effects[key]
        result = fn()
        return self._keep_effect(key, await result if isawaitable(result) else result)


class BlockingContext(_Context):
    """That of a plain handler."""

    def checkpoint(self, data: Any) -> None:
        """Keep `data` for the next attempt."""
        self._keep_checkpoint(data)

    def once(self, key: str, fn: Callable[[], Any], **_: Any) -> Any:
        """Run `fn` unless an earlier attempt has; nothing is ever uncertain here."""
        return self._memory.effects[key] if key in self._memory.effects else self._keep_effect(key, fn())


def _declared(handler: HandlerFunction | str) -> Handler:
    for known in registered().values():
        if handler in {known.function, known.type, *known.aliases}:
            return known
    raise LookupError(f"{handler!r} is no handler: is its module imported, and the function decorated with @job?")


async def _called(handler: Handler, context: Any, payload: Any) -> Any:
    function: Any = handler.function
    if handler.executor == "async":
        return await function(context, payload)
    return await asyncio.to_thread(function, context, payload)


def _as_kept(result: Any) -> Any:
    encoded = msgspec.json.encode(result)
    if len(encoded) > MAX_RESULT_BYTES:
        raise ValueError(f"the handler returned {len(encoded)} bytes of JSON, at most {MAX_RESULT_BYTES} are kept")
    return msgspec.json.decode(encoded)


def _through_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))
