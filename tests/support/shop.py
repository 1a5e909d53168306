"""An outside store that must not be written to twice, and handlers that write to it."""

import asyncio
from collections.abc import Callable
from typing import Any

from shared.jobs import NOT_HAPPENED, Context, HandlerFunction
from tests.support.consumer import Stage


class Shop:
    """An outside store: what was charged, in order."""

    def __init__(self) -> None:
        self.charges: list[int] = []
        self.checks = 0
        self.gate = asyncio.Event()  # a charge waits for it
        self.gate.set()

    async def charge(self) -> dict[str, int]:
        """Charge, and return the receipt."""
        await self.gate.wait()
        self.charges.append(len(self.charges) + 1)
        return {"receipt": len(self.charges)}

    def charge_plain(self) -> dict[str, int]:
        """Do the same without a coroutine."""
        self.charges.append(len(self.charges) + 1)
        return {"receipt": len(self.charges)}

    async def find(self) -> Any:
        """Return the receipt of the charge, if there is one."""
        self.checks += 1
        return {"receipt": len(self.charges)} if self.charges else NOT_HAPPENED


def charging(shop: Shop, then: Callable[[Context], None] = lambda _: None, **options: Any) -> HandlerFunction:
    """Return a handler that charges once, does something else, and returns the receipt."""

    async def handler(ctx: Context, _: Any) -> Any:
        receipt = await ctx.once("charge", shop.charge, **options)
        then(ctx)
        return receipt

    return handler


def fail_at_first(ctx: Context) -> None:
    """Fail on the first attempt."""
    if ctx.attempt == 1:
        raise RuntimeError("not yet")


async def effects_in(stage: Stage) -> list[tuple[Any, ...]]:
    """Return (key, attempt, done) of every effect."""
    return [tuple(row) for row in await stage.database.fetch("SELECT key, attempt, done_at IS NOT NULL FROM effects ORDER BY key")]


async def left_behind(stage: Stage, job_id: str) -> None:
    """Leave the job as a worker leaves it that died within its effect, after the reaper came by."""
    query = "WITH job AS (UPDATE jobs SET attempts = 1, crashes = 1 WHERE id = $1) INSERT INTO effects (job_id, key, attempt, lease_id)"
    await stage.database.fetch(f"{query} VALUES ($1, 'charge', 1, gen_random_uuid())", job_id)
    await stage.database.fetch("INSERT INTO attempts (job_id, attempt, outcome, started_at) VALUES ($1, 1, 'lost', now())", job_id)
