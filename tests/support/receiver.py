"""A receiver of webhooks: a small local HTTP server."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Message:
    """One request that has come in."""

    headers: Mapping[str, str]
    body: bytes
    at: float  # by the monotonic clock


@dataclass
class Receiver:
    """Answers with `answers` in turn (status, headers), the last one for ever; keeps what came in."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(204, {})])
    body: bytes = b""
    messages: list[Message] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Keep the message, give the answer."""
        self.messages.append(Message(dict(request.headers), await request.read(), time.monotonic()))
        status, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, headers=headers, body=self.body)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver on a port of its own."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
