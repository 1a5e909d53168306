"""What goes on by itself: retries, dead letters, poison jobs, schedules, and roles in processes of their own."""

import asyncio
import time
from itertools import pairwise
from typing import Any

from tests.support.stack import Running, Stack

SHORT_LEASE: dict[str, Any] = {"lease_seconds": 1.5, "heartbeat_seconds": 0.5}  # many workers die one after the other


async def test_retries_and_schedules_with_split_roles(stack: Stack) -> None:
    """With services and workers in separate processes a failing job runs again after 2, 4 and 8 s, a scheduled one at its time.

    The failing one ends in the DLQ. A worker is killed meanwhile; its jobs run again on the other.
    """
    services = stack.consumer("--only", "reaper,delayer,reconciler,janitor")
    _, _, doomed = await asyncio.gather(stack.producer(), services, stack.consumer("--only", "worker"))
    held = await stack.bulk(5, payload={"seconds": 5})  # longer than a worker takes to start
    for job_id in held:
        await stack.started(job_id)
    await stack.consumer("--only", "worker")
    doomed.kill()
    hopeless = await stack.submit(payload={"failures": 99})
    curable = await stack.submit(payload={"failures": 1})
    begun_at = time.time()
    delayed = {
        await stack.submit(delay=seconds, priority=priority): seconds for seconds, priority in ((1, "high"), (2, "normal"), (5, "low"))
    }
    await stack.check_promise()

    assert await stack.count("crashes = 1 AND status = 'COMPLETED'") == len(held)
    starts = [event.time for event in stack.events("start", {hopeless})]
    gaps = [after - before for before, after in pairwise(starts)]
    assert len(gaps) == 3
    for gap, wanted in zip(gaps, (2, 4, 8), strict=True):
        assert wanted <= gap < wanted + 1.5
    row = await stack.row(hopeless)
    assert (row["state"], row["reason"], row["failures"]) == ("FAILED", "attempts_spent", 4)
    assert [(attempt["outcome"], "as asked" in attempt["traceback"]) for attempt in await stack.attempts(hopeless)] == [
        ("failed", True)
    ] * 4
    [(_, letter)] = await stack.broker.client.xrange(stack.broker.keys.dlq)
    assert {name: letter[name.encode()].decode() for name in ("id", "type", "reason", "attempts")} == {
        "id": hopeless,
        "type": "recorded",
        "reason": "attempts_spent",
        "attempts": "4",
    }
    assert b"failed, as asked" in letter[b"error"]
    assert (await stack.row(curable))["attempts"] == 2
    for job_id, seconds in delayed.items():
        [start] = stack.events("start", {job_id})
        assert seconds - 0.1 <= start.time - begun_at < seconds + 2


async def test_poison_job(stack: Stack) -> None:
    """A job that kills its worker each time is dead-lettered after its crash budget; the jobs that ran beside it finish."""
    await stack.producer()
    neighbours = await stack.bulk(2, payload={"seconds": 0.5})
    poison = await stack.submit("test.crash")
    neighbours += await stack.bulk(2, payload={"seconds": 0.5})
    consumers = [await stack.consumer(ready=False, **SHORT_LEASE) for _ in range(2)]
    supervisor = asyncio.create_task(_keep_alive(stack, consumers))
    await stack.check_promise(within=90)
    supervisor.cancel()
    row = await stack.row(poison)
    assert (row["state"], row["reason"], row["crashes"], row["attempts"]) == ("FAILED", "crashed", 3, 3)
    assert [attempt["outcome"] for attempt in await stack.attempts(poison)] == ["lost"] * 3
    assert await stack.count("status = 'COMPLETED'") == len(neighbours)


async def _keep_alive(stack: Stack, processes: list[Running]) -> None:
    """What a supervisor does: start anew what has died."""
    while True:
        for number, process in enumerate(processes):
            if not process.alive:
                processes[number] = await stack.consumer(ready=False, **SHORT_LEASE)
        await asyncio.sleep(0.1)
