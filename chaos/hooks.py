"""The receiver of webhooks of a run: notes what comes in, refuses some of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import orjson
from aiohttp import web

from chaos.journal import Journal

REFUSED = 0.2  # of the deliveries are answered 503


@asynccontextmanager
async def receiving(journal: Journal, dice: Random) -> AsyncIterator[str]:
    """Run the receiver; yields its URL."""

    async def take(request: web.Request) -> web.Response:
        event: dict[str, Any] = orjson.loads(await request.read())["data"]
        status = 503 if dice.random() < REFUSED else 204
        journal.note("hook", id=request.headers.get("webhook-id", ""), job=event["id"], state=event["status"], answer=status)
        return web.Response(status=status, headers={"Retry-After": "1"} if status == 503 else {})

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()
