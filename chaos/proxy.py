"""A TCP proxy in front of a real server, with the faults that networks have."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

KEPT_BYTES = 1_000_000


class Proxy:
    """Passes bytes on until it is told otherwise. Faults hold for connections that are open and for those to come.

    `drop_reply(marker)` strikes once: the server does what the first request with `marker` asks, but its answer is swallowed.
    `cut_after(count)` strikes every connection: so many bytes of its answers pass, then it breaks, in the middle of a message.
    """

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url)
        self._links: set[Link] = set()
        self._listener: asyncio.Server | None = None
        self._refusing = False
        self._silent = False
        self._delay_seconds = 0.0
        self._marker = b""
        self._reset_after = False
        self._bytes_to_pass: int | None = None  # of the answers of one connection
        self.requests = bytearray()  # the last that clients have sent
        self.reply_dropped = asyncio.Event()
        self.hits = 0  # how often a fault met a connection: refused, cut, delayed, or something of it swallowed
        self.url = ""

    async def start(self) -> None:
        """Listen on a port of our own; `url` is the server's with that port."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        account, at, _ = self._server.netloc.rpartition("@")
        self.url = urlunsplit(self._server._replace(netloc=f"{account}{at}127.0.0.1:{port}"))

    async def stop(self) -> None:
        """Cut everything."""
        if self._listener is not None:
            self._listener.close()
        self.reset()

    def drop_reply(self, marker: bytes, *, reset: bool = False) -> None:
        """Swallow the answer to the next request that holds `marker`, and all after it on that connection; `reset` cuts it instead."""
        self._marker, self._reset_after = marker, reset
        self.reply_dropped.clear()

    def black_hole(self) -> None:
        """Take everything, pass nothing on, either way: a cable that was pulled."""
        self._silent = True

    def refuse(self) -> None:
        """Cut what is open and every new connection: a server that is down."""
        self._refusing = True
        self.reset()

    def cut_after(self, count: int) -> None:
        """Pass so many bytes of answers on each connection, then cut it."""
        self._bytes_to_pass = count

    def delay(self, seconds: float) -> None:
        """Let every chunk take so long."""
        self._delay_seconds = seconds

    def reset(self) -> None:
        """Cut what is open."""
        self.hits += len(self._links)
        for link in tuple(self._links):
            link.cut()

    def heal(self) -> None:
        """Pass bytes on again. What was swallowed is gone, so connections that met a fault are cut."""
        for link in tuple(self._links):
            if self._silent or link.mute:
                link.cut()
        self._refusing = self._silent = False
        self._delay_seconds, self._marker, self._bytes_to_pass = 0.0, b"", None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.hits += 1
            writer.transport.abort()
            return
        try:
            behind, onward = await asyncio.open_connection(self._server.hostname, self._server.port)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, onward)
        self._links.add(link)
        try:
            await asyncio.gather(self._pump(reader, onward, link, forth=True), self._pump(behind, writer, link, forth=False))
        finally:
            link.cut()
            self._links.discard(link)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: "Link", *, forth: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                self.hits += bool(self._delay_seconds or self._silent)
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                if self._silent:
                    continue
                if forth:
                    self._look_at(data, link)
                elif link.mute:
                    self._swallow(link)
                    continue
                elif self._bytes_to_pass is not None:
                    data = link.portion(data, self._bytes_to_pass)
                sink.write(data)
                await sink.drain()
                if not forth and self._bytes_to_pass is not None and link.passed >= self._bytes_to_pass:
                    self.hits += 1
                    break
        link.cut()

    def _look_at(self, data: bytes, link: "Link") -> None:
        self.requests += data
        if len(self.requests) > KEPT_BYTES:
            del self.requests[:-KEPT_BYTES]
        if self._marker and self._marker in data:
            self._marker = b""
            link.mute = True

    def _swallow(self, link: "Link") -> None:
        self.reply_dropped.set()
        if self._reset_after:
            link.cut()


class Link:
    """A client's connection and ours to the server. `mute`: the client hears nothing more."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.mute = False
        self.passed = 0  # bytes of answers, since somebody counts

    def portion(self, data: bytes, limit: int) -> bytes:
        """Return what of these bytes still fits into the limit."""
        fits = data[: max(limit - self.passed, 0)]
        self.passed += len(fits)
        return fits

    def cut(self) -> None:
        """End both at once."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def proxied(server_url: str) -> AsyncIterator[Proxy]:
    """Return a running proxy in front of the server at that URL."""
    proxy = Proxy(server_url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
