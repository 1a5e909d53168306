"""A bound on open connections: beyond it a new one is closed at once, and those that are served stay fast."""

import asyncio

from aiohttp import web


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class BoundedConnections:
    """Protocol factory around aiohttp's: at most `most` connections."""

    def __init__(self, server: web.Server, most: int) -> None:
        self._server = server
        self._most = most

    def __call__(self) -> asyncio.BaseProtocol:
        """Return the protocol for a new connection."""
        return self._server() if len(self._server._connections) < self._most else _Refusal()  # noqa: SLF001 - `connections` copies them
