"""`ctx.once`: an effect that must not happen twice. Reserve, run, record; what lies in between when everything ends is uncertain.

Written once, as a coroutine. Plain handlers run it too, see `consumer/blocking.py`.
"""

from collections.abc import Callable
from datetime import datetime
from inspect import isawaitable
from typing import Any, Protocol

import msgspec

from shared.errors import PermanentFailure, RetryAfter, Snooze, StaleAttemptError, UncertainEffect
from shared.jobs import NOT_HAPPENED

MAX_RESULT_BYTES = 64 * 1024

# How an effect stands, as Effects.begin says it.
GRANTED = "granted"  # reserved for this attempt: run it
DONE = "done"
UNCERTAIN = "uncertain"
STALE = "stale"  # the job is not this attempt's any more

Function = Callable[[], Any]  # plain, or a coroutine function
Releases = type[Exception] | tuple[type[Exception], ...]


class Remote(Protocol):
    """What `once` needs of consumer.effects.Effects, wherever that is."""

    async def begin(self, key: str) -> dict[str, Any]: ...  # noqa: D102
    async def take_over(self, key: str, attempt: int) -> bool: ...  # noqa: D102
    async def record(self, key: str, result: Any) -> bool: ...  # noqa: D102
    async def release(self, key: str) -> bool: ...  # noqa: D102


async def once(remote: Remote, key: str, run: Function, uncertain: Function | None, released_by: Releases) -> Any:
    """See shared.jobs.Context.once."""
    found = await remote.begin(key)
    if found["state"] == DONE:
        return found["result"]
    if found["state"] == STALE:
        raise StaleAttemptError(f"the effect {key!r} was not begun: the job is not this attempt's any more")
    if found["state"] == UNCERTAIN:
        return await _clear_up(remote, key, run, uncertain, released_by, found)
    return await _perform(remote, key, run, released_by)


async def _clear_up(remote: Remote, key: str, run: Function, check: Function | None, released_by: Releases, found: dict[str, Any]) -> Any:
    """Nobody knows whether it happened: ask, if there is someone to ask. One that this attempt itself began may still be under way."""
    if check is None or found["is_ours"]:
        raise UncertainEffect(key, found["attempt"], datetime.fromisoformat(found["began_at"]))
    answer = await _called(check)
    if not await remote.take_over(key, found["attempt"]):
        return await once(remote, key, run, check, released_by)  # meanwhile it was cleared up, or the job was taken away
    if answer is NOT_HAPPENED:
        return await _perform(remote, key, run, released_by)
    return await _record(remote, key, answer)


async def _perform(remote: Remote, key: str, run: Function, released_by: Releases) -> Any:
    """Run a reserved effect. What it raises proves nothing, an answer may have been lost, unless its author says otherwise."""
    try:
        result = await _called(run)
    except (PermanentFailure, RetryAfter, Snooze):
        await remote.release(key)
        raise
    except BaseException as error:
        if isinstance(error, released_by):
            await remote.release(key)
        else:
            error.add_note(f"millstream: whether the effect {key!r} happened is uncertain now; it will not be run again by itself")
        raise
    return await _record(remote, key, result)


async def _record(remote: Remote, key: str, result: Any) -> Any:
    """Keep the result, and return it as every later attempt will get it: as JSON has it."""
    kept = _as_kept(key, result)
    if not await remote.record(key, kept):
        raise StaleAttemptError(f"the effect {key!r} happened, but was taken over by a later attempt before that could be recorded")
    return kept


def _as_kept(key: str, result: Any) -> Any:
    try:
        encoded = msgspec.json.encode(result)
    except Exception as error:
        raise PermanentFailure(f"the effect {key!r} happened, but its result cannot be JSON: {error}") from error
    if len(encoded) > MAX_RESULT_BYTES:
        raise PermanentFailure(f"the effect {key!r} happened, but its result has {len(encoded)} bytes of JSON, at most {MAX_RESULT_BYTES}")
    return msgspec.json.decode(encoded)


async def _called(function: Function) -> Any:
    value = function()
    return await value if isawaitable(value) else value
