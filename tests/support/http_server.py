"""A small HTTP server on loopback that answers just the bytes it is told, well-behaved or not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Play = Callable[[asyncio.StreamWriter], Awaitable[None]]
Reply = bytes | Play


@dataclass
class Seen:
    """A request that arrived; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpServer:
    """`replies` by path: bytes to send, or a coroutine function that plays with the connection, or a list of them in turn."""

    host: str = "127.0.0.1"
    port: int = 0
    replies: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    connection_count: int = 0
    _server: asyncio.Server | None = None
    _conversations: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    @property
    def place(self) -> str:
        """What to allow."""
        return f"{self.host}:{self.port}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [request.path for request in self.seen]

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._converse, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop, and drop every connection."""
        if self._server is not None:
            self._server.close()
            for conversation in self._conversations:
                conversation.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)
            await self._server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        self.connection_count += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._answer(await _read(reader), writer)
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _answer(self, request: Seen, writer: asyncio.StreamWriter) -> None:
        self.seen.append(request)
        reply = self.replies.get(request.path, answer(b"nothing here", status=404))
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
        else:
            await reply(writer)


async def _read(reader: asyncio.StreamReader) -> Seen:
    top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = top[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in top[1:] if line)}
    return Seen(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def answer(body: bytes = b"", *headers: str, status: int = 200, kind: str = "text/html") -> bytes:
    """Return a whole answer with these headers beside its length and type."""
    lines = [f"HTTP/1.1 {status} Test", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def redirect(location: str, status: int = 302) -> bytes:
    """Return a redirect."""
    return answer(b"moved", f"Location: {location}", status=status)


@asynccontextmanager
async def http_server(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[HttpServer]:
    """Run a server for the time of a test."""
    server = HttpServer(host, port)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
