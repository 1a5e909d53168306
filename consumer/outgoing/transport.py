"""aiohttp behind the guard. Imported when the first request goes out: it takes a quarter of a second."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict

from consumer.outgoing.body import ACCEPTED, read_body
from consumer.outgoing.errors import FetchError, TooLargeError
from consumer.outgoing.guard import Guard
from consumer.outgoing.outgoing import Resolve
from consumer.outgoing.request import REDIRECTS, Request, origin

__all__ = ["Answer", "Transport"]

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 15.0
DNS_THREADS = 8


class Answer(NamedTuple):
    """What one hop came to; `location` is set when it was a redirect, whose body nobody reads."""

    status: int
    headers: CIMultiDict[str]
    body: bytes
    location: str | None


class Transport:
    """Connections of one event loop, each made to an address that the guard has seen."""

    def __init__(self, guard: Guard, resolve: Resolve | None) -> None:
        # The prefix: who drains does not wait for threads of handlers, and a lookup in a thread cannot be stopped.
        self._threads = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="handler-dns")
        connector = aiohttp.TCPConnector(
            resolver=_GuardedResolver(guard, resolve or self._look_up),
            socket_factory=_guarded_sockets(guard),
            use_dns_cache=False,
            limit=0,  # jobs at a time are limited already; a slow peer must not keep jobs for others waiting
            keepalive_timeout=IDLE_SECONDS,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # a proxy would connect for us, unguarded
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )

    async def ask(self, request: Request, max_bytes: int, *, follows: bool) -> Answer:
        """Send one request. Raises the errors of `consumer.outgoing.errors`."""
        try:
            async with self._session.request(
                request.method,
                request.url,
                headers={"accept-encoding": ACCEPTED, **request.headers},
                data=request.body,
                allow_redirects=False,
            ) as response:
                headers = CIMultiDict(response.headers)
                location = headers.get("location") if follows and response.status in REDIRECTS else None
                if location is not None:
                    response.close()
                    return Answer(response.status, headers, b"", location)
                return Answer(response.status, headers, await _body(response, request.method, max_bytes), None)
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError(f"{origin(request.url)}: {_words(error)}") from None

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host, port)
        return list(dict.fromkeys(found))


class _GuardedResolver(AbstractResolver):
    """Asks DNS once a connection; what it says is checked, and is what gets connected."""

    def __init__(self, guard: Guard, look_up: Resolve) -> None:
        self._guard = guard
        self._look_up = look_up

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        del family
        addresses = await self._look_up(host, port)
        self._guard.admit(host, port, addresses)
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        pass


def _result(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": socket.AI_NUMERICHOST}


def _guarded_sockets(guard: Guard) -> aiohttp.SocketFactoryType:
    def open_checked(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        guard.check_connection(str(address[0]), int(address[1]))
        return socket.socket(family, kind, protocol)

    return open_checked


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError:
        raise OSError("no host can be called that") from None
    return [str(address[0]) for *_, address in found]


async def _body(response: aiohttp.ClientResponse, method: str, max_bytes: int) -> bytes:
    try:
        if method != "HEAD":  # whose answer tells the length of another
            _check_promise(response.content_length, max_bytes)
        return await read_body(response.content.iter_any(), response.headers.get("content-encoding", ""), max_bytes)
    except TooLargeError as error:
        error.status = response.status
        raise


def _check_promise(length: int | None, max_bytes: int) -> None:
    if length is not None and length > max_bytes:
        raise TooLargeError(f"the answer has {length} bytes, more than {max_bytes}")


def _words(error: Exception) -> str:
    """Say what went wrong without the URL, which many of aiohttp's messages hold."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or type(error.os_error).__name__
    if isinstance(error, aiohttp.ClientResponseError):
        return f"no proper HTTP: {' '.join(error.message.split())}"[:300]
    return f"{type(error).__name__}: {error}"[:300] if not isinstance(error, aiohttp.InvalidURL) else "the URL cannot be asked"
