"""A handler that tests hold up."""

import asyncio
from typing import Any

from shared.jobs import Context


class Gate:
    """Notes who began, and waits until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.running: list[str] = []

    async def __call__(self, ctx: Context, _: Any) -> None:
        """Wait."""
        self.running.append(ctx.job_id)
        await self.open.wait()
