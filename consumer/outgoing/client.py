"""Requests that follow redirects, every hop through the guard. Imported when the first request goes out."""

import asyncio
import time
from collections.abc import Iterable, Mapping

from consumer.outgoing.errors import FetchError
from consumer.outgoing.guard import Guard
from consumer.outgoing.outgoing import Fetched, Resolve
from consumer.outgoing.request import Request, make_request, origin, redirected
from consumer.outgoing.transport import Answer, Transport
from shared.allow_list import AllowList

__all__ = ["Client"]


class Client:
    """What is behind `Outgoing`; see there for what arguments mean."""

    def __init__(self, allow: Iterable[str], resolve: Resolve | None) -> None:
        self._guard = Guard(AllowList.parse(allow))
        self._transport = Transport(self._guard, resolve)

    async def fetch(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        max_bytes: int,
        seconds: float,
        max_redirects: int,
    ) -> Fetched:
        """Raise the errors of `consumer.outgoing.errors`."""
        began = time.monotonic()
        request = make_request(self._guard, method, url, headers, body)
        try:
            async with asyncio.timeout(seconds):
                final, answer = await self._follow(request, max_bytes, max_redirects)
        except TimeoutError:
            raise FetchError(f"{origin(request.url)}: no whole answer within {seconds:g} s") from None
        return Fetched(answer.status, str(final.url.with_user(None)), answer.headers, answer.body, time.monotonic() - began)

    async def _follow(self, request: Request, max_bytes: int, max_redirects: int) -> tuple[Request, Answer]:
        for _ in range(max_redirects + 1):
            answer = await self._transport.ask(request, max_bytes, follows=max_redirects > 0)
            if answer.location is None:
                return request, answer
            request = redirected(self._guard, request, answer.status, answer.location)
        raise FetchError(f"{origin(request.url)}: more than {max_redirects} redirects")

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()
