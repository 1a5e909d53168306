"""The context of a plain handler, in a thread or in a child process: methods that block until the answer is there."""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from consumer.once import Function, Releases, once
from shared.errors import StaleAttemptError

Call = Callable[..., Any]  # (method, *args): the answer of that coroutine method of consumer.effects.Effects
NOTHING: Mapping[str, Any] = MappingProxyType({})


class BlockingContext:
    """See shared.jobs.Context. `call` brings a request to the Effects in the consumer's event loop, and its answer back."""

    __slots__ = ("_call", "attempt", "cancelled", "job_id", "log", "resources")

    def __init__(self, job_id: str, attempt: int, log: Any, call: Call, resources: Mapping[str, Any] = NOTHING) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.log = log
        self.resources = resources
        self.cancelled = False  # set by whoever stops the attempt
        self._call = call

    @property
    def checkpoint_data(self) -> Any:
        """What the newest checkpoint holds, None before the first."""
        return self._call("checkpoint_data")

    def progress(self, percent: float, message: str = "") -> None:
        """Show how far the job has come."""
        self._call("progress", percent, message)

    def checkpoint(self, data: Any) -> None:
        """Store `data` for the next attempt."""
        if not self._call("checkpoint", data):
            raise StaleAttemptError("the checkpoint was not stored: the job is not this attempt's any more")

    def once(self, key: str, fn: Function, *, uncertain: Function | None = None, released_by: Releases = ()) -> Any:
        """Run an effect that must not happen twice."""
        if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(uncertain):
            raise TypeError("the effects of a plain handler are plain functions")
        return _at_once(once(_Immediate(self._call), key, fn, uncertain, released_by))


class _Immediate:
    """Effects whose coroutine methods block instead of suspending, so that a coroutine which awaits them runs through in one go."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    async def begin(self, key: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._call("begin", key)
        except ValueError:  # the key is bad
            raise
        except BaseException:  # interrupted: the reservation may come through, but its effect has not begun
            with suppress(Exception):
                self._call("release", key)
            raise
        return found

    async def take_over(self, key: str, attempt: int) -> bool:
        return bool(self._call("take_over", key, attempt))

    async def record(self, key: str, result: Any) -> bool:
        return bool(self._call("record", key, result))

    async def release(self, key: str) -> bool:
        return bool(self._call("release", key))


def _at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that has nothing to wait for, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise TypeError("the effects of a plain handler are plain functions, and cannot wait for a coroutine")
