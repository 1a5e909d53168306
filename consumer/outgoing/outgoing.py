"""`Outgoing`: the only way by which this process asks addresses that somebody else chose."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from shared.settings import load

if TYPE_CHECKING:
    from consumer.outgoing.client import Client  # with aiohttp, which takes a quarter of a second and is not always needed

__all__ = ["Fetched", "Outgoing", "fetch_blocking"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # host and port to addresses; raises OSError


class Fetched(NamedTuple):
    """An answer. `url` is where it came from after redirects, without credentials; `headers` ignore case, the first value counts."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    elapsed: float  # seconds, all hops together


class Outgoing:
    """Asks public addresses, and what `allow` opens. Made once a process; belongs to the event loop of its first request."""

    def __init__(self, allow: Iterable[str] = (), *, resolve: Resolve | None = None) -> None:
        """`allow`: as in MILLSTREAM_OUTGOING_ALLOW. `resolve`: whom to ask instead of DNS; it is trusted no more than that."""
        self._allow = tuple(allow)
        self._resolve = resolve
        self._client: Client | None = None
        self._is_closed = False

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int,
        timeout: float,  # noqa: ASYNC109 - it spans all hops, and ends in an error of ours
        max_redirects: int = 5,
    ) -> Fetched:
        """Send a request and return the answer, whatever its status; with `max_redirects=0` a redirect is an answer, too.

        `max_bytes` counts the body after decompression; `timeout` is in seconds and spans DNS, all hops and the body.
        Raises ForbiddenAddressError, InvalidRequestError, TooLargeError (permanent) and FetchError (may be tried again).
        """
        client = self._client or await self._begin()
        return await client.fetch(method, url, headers or {}, body, max_bytes=max_bytes, seconds=timeout, max_redirects=max_redirects)

    async def close(self) -> None:
        """Close every connection; requests after that fail."""
        self._is_closed = True
        if self._client is not None:
            await self._client.close()

    async def _begin(self) -> "Client":
        module = await asyncio.to_thread(import_module, "consumer.outgoing.client")
        if self._is_closed:
            raise RuntimeError("Outgoing is closed")
        if self._client is None:  # another request may have been as early
            self._client = module.Client(self._allow, self._resolve)
        return self._client


def fetch_blocking(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    max_bytes: int,
    timeout: float,
    max_redirects: int = 5,
    allow: Iterable[str] | None = None,
) -> Fetched:
    """Do as `Outgoing.fetch` does, for threads and child processes. `allow` is MILLSTREAM_OUTGOING_ALLOW unless given."""

    async def fetch() -> Fetched:
        outgoing = Outgoing(load().outgoing_allow if allow is None else allow)
        try:
            return await outgoing.fetch(
                method, url, headers=headers, body=body, max_bytes=max_bytes, timeout=timeout, max_redirects=max_redirects
            )
        finally:
            await outgoing.close()

    return asyncio.run(fetch())
