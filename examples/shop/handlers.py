"""Three handlers, one of each kind: a coroutine that waits for others, a plain function in a thread, heavy work in a process."""

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared.jobs import Context, PermanentFailure, RetryAfter, SoftTimeout, job

Sku = Annotated[str, Meta(min_length=1, max_length=40)]
STOCK = {"tea": 12, "cup": 3, "pot": 0}  # a warehouse would be asked over the network


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """So many of one thing."""

    sku: Sku
    count: Annotated[int, Meta(ge=1, le=1000)] = 1
    price: Annotated[float, Meta(ge=0)] = 0.0


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody buys."""

    customer: str
    lines: Annotated[list[Line], Meta(min_length=1, max_length=100)]


class Baskets(msgspec.Struct, forbid_unknown_fields=True):
    """What was bought together, order by order."""

    baskets: list[list[Sku]]
    top: Annotated[int, Meta(ge=1, le=100)] = 3


@job("shop.reserve", max_attempts=6)
async def reserve(ctx: Context, order: Order) -> dict[str, int]:
    """Ask the warehouse for everything at once. Costs the consumer nothing while it waits."""
    found = await asyncio.gather(*(_in_stock(line.sku) for line in order.lines))
    for line, count in zip(order.lines, found, strict=True):
        if count is None:
            raise PermanentFailure(f"nobody sells {line.sku!r}")  # trying again would not help
        if count < line.count:
            raise RetryAfter(30, f"only {count} of {line.sku!r} are there")
    ctx.log.info("reserved", customer=order.customer, lines_count=len(order.lines))
    return {line.sku: line.count for line in order.lines}


async def _in_stock(sku: str) -> int | None:
    await asyncio.sleep(0.01)
    return STOCK.get(sku)


@job("shop.invoice", timeout=30)
def invoice(ctx: Context, order: Order) -> dict[str, Any]:
    """Write a file. A plain function runs in a thread, where it may block."""
    total = sum(line.count * line.price for line in order.lines)
    rows = [f"{line.count:>5} x {line.sku:<20} {line.count * line.price:>10.2f}" for line in order.lines]
    folder = Path(ctx.resources["settings"].output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    # The job may run twice: its id makes both write the same file, and nobody ever sees half of one.
    draft = folder / f".{ctx.job_id}.{ctx.attempt}"
    draft.write_text("\n".join([f"Invoice for {order.customer}", *rows, f"{'total':<28} {total:>10.2f}", ""]), encoding="utf-8")
    path = draft.replace(folder / f"invoice-{ctx.job_id}.txt")
    return {"path": str(path), "total": round(total, 2)}


@job("shop.bought_together", executor="process", timeout=60, memory_mb=512)
def bought_together(ctx: Context, orders: Baskets) -> dict[str, Any]:
    """Count pairs: pure computing, so it gets a process of its own, and the consumer's other jobs do not notice."""
    pairs: Counter[tuple[str, str]] = Counter()
    done = 0
    try:
        for basket in orders.baskets:
            pairs.update(itertools.combinations(sorted(set(basket)), 2))
            done += 1
    except SoftTimeout:  # a partial answer is better than none; five seconds later the process would be killed
        ctx.log.warning("stopped_early", baskets_count=done)
    return {"baskets": done, "pairs": [[*pair, count] for pair, count in pairs.most_common(orders.top)]}
