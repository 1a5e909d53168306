"""The example of docs/safe-effects.md, which shows its functions; run by tests/processes/test_payments.py."""

from typing import Any

import aiohttp
import msgspec

from shared.jobs import NOT_HAPPENED, Context, PermanentFailure, job


class Payment(msgspec.Struct):
    """What to charge, and where."""

    provider: str  # URL
    cents: int


@job("payment")
async def pay(ctx: Context, payment: Payment) -> dict[str, Any]:
    async def charge() -> dict[str, Any]:
        body = {"reference": ctx.job_id, "cents": payment.cents}
        async with aiohttp.ClientSession() as http, http.post(f"{payment.provider}/charges", json=body) as answer:
            if answer.status == 402:
                raise PermanentFailure("the card was declined")
            answer.raise_for_status()
            receipt: dict[str, Any] = await answer.json()
            return receipt

    receipt = await ctx.once("charge", charge)
    ctx.progress(100, "charged")
    return {"receipt": receipt["id"]}


@job("payment.checked")
async def pay_checked(ctx: Context, payment: Payment) -> dict[str, Any]:
    async def charge() -> dict[str, Any]:
        body = {"reference": ctx.job_id, "cents": payment.cents}
        async with aiohttp.ClientSession() as http, http.post(f"{payment.provider}/charges", json=body) as answer:
            answer.raise_for_status()
            receipt: dict[str, Any] = await answer.json()
            return receipt

    async def find() -> Any:
        async with aiohttp.ClientSession() as http, http.get(f"{payment.provider}/charges/{ctx.job_id}") as answer:
            if answer.status == 404:
                return NOT_HAPPENED
            answer.raise_for_status()
            return await answer.json()

    receipt = await ctx.once("charge", charge, uncertain=find)
    return {"receipt": receipt["id"]}
