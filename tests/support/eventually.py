"""Waiting for something to become true, instead of sleeping for as long as it usually takes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
POLL_SECONDS = 0.02


@overload
async def eventually(check: Callable[[], Awaitable[T]], within: float = 10.0, what: str = "") -> T: ...
@overload
async def eventually(check: Callable[[], T], within: float = 10.0, what: str = "") -> T: ...
async def eventually(check: Callable[[], Any], within: float = 10.0, what: str = "") -> Any:
    """Call `check` until it returns something true, and return that. AssertionErrors of it count as "not yet".

    Raises AssertionError after `within` seconds, with the last one's message.
    """
    until = time.monotonic() + within
    last: object = None
    while True:
        try:
            found = check()
            value = await found if inspect.isawaitable(found) else found
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() > until:
            raise AssertionError(f"{what or 'it'} did not come true within {within} s; last: {last!r}")
        await asyncio.sleep(POLL_SECONDS)


def eventually_sync(check: Callable[[], T], within: float = 10.0, what: str = "") -> T:
    """Like `eventually`, for tests without an event loop."""
    until = time.monotonic() + within
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what or 'it'} did not come true within {within} s; last: {value!r}")
        time.sleep(POLL_SECONDS)
