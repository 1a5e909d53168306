"""A keep-alive connection that asks one thing at a time and waits for the answer."""

import asyncio
from typing import cast

from loadtest.http1 import ProtocolError, Response, ResponseReader

ANSWER_SECONDS = 30.0


class Client(asyncio.Protocol):
    """Make it with `loop.create_connection(Client, host, port)`."""

    def __init__(self) -> None:
        self._reader = ResponseReader()
        self._answer: asyncio.Future[Response] | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Hand the answer over."""
        try:
            responses = self._reader.feed(data)
        except ProtocolError as error:
            self._fail(error)
            self.close()
            return
        for response in responses:
            if self._answer and not self._answer.done():
                self._answer.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits learns of it."""
        self.is_open = False
        self._fail(exc or ConnectionResetError("closed by the server"))

    async def ask(self, request: bytes, timeout: float = ANSWER_SECONDS) -> Response:  # noqa: ASYNC109 - also what ends a silent connection
        """Send `request` and return its answer. Raises OSError, TimeoutError, ProtocolError; the connection is then of no more use."""
        if not self.is_open:
            raise ConnectionResetError("closed by the server")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(timeout):  # wait_for of Python 3.11 forgets that it was cancelled when the answer is there
                return await self._answer
        except BaseException:
            self._transport.abort()
            raise

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)
