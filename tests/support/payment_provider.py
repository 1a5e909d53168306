"""A payment provider on loopback that counts charges, and does not answer twice alike on purpose: it charges whenever it is asked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web


class Provider:
    """What was charged, by reference. `is_mute`: it charges, and then does not answer."""

    def __init__(self) -> None:
        self.charges: Counter[str] = Counter()
        self.is_mute = False
        self.declines = False
        self.url = ""

    async def charge(self, request: web.Request) -> web.Response:
        """POST /charges."""
        reference = (await request.json())["reference"]
        if self.declines:
            return web.Response(status=402)
        self.charges[reference] += 1
        if self.is_mute:
            await asyncio.Event().wait()
        return _receipt(reference, self.charges[reference])

    async def find(self, request: web.Request) -> web.Response:
        """GET /charges/{reference}."""
        reference = request.match_info["reference"]
        return _receipt(reference, self.charges[reference]) if self.charges[reference] else web.Response(status=404)


def _receipt(reference: str, count: int) -> web.Response:
    receipt: dict[str, Any] = {"id": f"r-{reference[-4:]}-{count}"}
    return web.Response(body=msgspec.json.encode(receipt), content_type="application/json")


@asynccontextmanager
async def providing() -> AsyncIterator[Provider]:
    """Run a provider while the block lasts."""
    provider = Provider()
    app = web.Application()
    app.router.add_post("/charges", provider.charge)
    app.router.add_get("/charges/{reference}", provider.find)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
