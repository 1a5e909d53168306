"""Bytes on a socket, for requests that no client library would send."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from tests.support.producer import Answer

HOST = "127.0.0.1"


def request(method: str = "POST", path: str = "/jobs", *headers: str, body: bytes = b"", host: str = "Host: test") -> bytes:
    """Return a request of just these headers; Content-Length only if there is a body and none of them says how long it is."""
    lines = [f"{method} {path} HTTP/1.1", *([host] if host else []), *headers]
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


@dataclass
class Wire:
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send what may be a part of a request."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, head: bool = False) -> Answer:
        """Read one answer; `head`: it has no body whatever its Content-Length says."""
        async with asyncio.timeout(10):
            top = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.title(): value.strip() for name, _, value in (line.partition(":") for line in top[1:] if line)}
            body = b"" if head else await self.reader.readexactly(int(headers.get("Content-Length", 0)))
        return Answer(int(top[0].split()[1]), headers, body, _json(body))

    async def is_closed(self) -> bool:
        """Wait until the other side closes."""
        async with asyncio.timeout(10):
            return await self.reader.read() == b""

    async def close(self) -> None:
        """Close our side."""
        self.writer.close()
        await self.writer.wait_closed()


async def open_wire(port: int) -> Wire:
    """Connect."""
    return Wire(*await asyncio.open_connection(HOST, port))


async def exchange(port: int, data: bytes, *, head: bool = False) -> Answer:
    """Send one request on a connection of its own and return the answer."""
    wire = await open_wire(port)
    try:
        await wire.send(data)
        return await wire.answer(head=head)
    finally:
        await wire.close()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
