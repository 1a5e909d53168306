"""Consumers end in order: SIGTERM, a second signal, rolling restarts, and ends while something else is broken."""

import signal
import time

from tests.support.eventually import eventually
from tests.support.stack import Running, Stack

SLACK_SECONDS = 8.0  # beyond the grace time, on a busy machine


async def test_sigterm_under_load(stack: Stack) -> None:
    """A consumer that is told to end finishes or hands back what it runs; nothing is lost, nothing counts as a failure."""
    [first] = await stack.up(grace_seconds=1)
    slow = await stack.bulk(5, payload={"seconds": 2.5})
    for job_id in slow:
        await stack.started(job_id)
    async with stack.load(seconds=0.1, batch=10):
        first.terminate()
        assert await first.ended() == 0
        await stack.consumer()
        await stack.more_accepted(50)
    await stack.check_promise()
    for job_id in slow:
        assert [attempt["outcome"] for attempt in await stack.attempts(job_id)] == ["handed_back"]
    assert await stack.count("status = 'COMPLETED' AND failures + crashes = 0") == len(stack.accepted)
    assert stack.started_twice() == set(slow)


async def test_second_signal(stack: Stack) -> None:
    """The second signal ends a consumer at once, whatever it runs and however long its grace time is."""
    [first] = await stack.up(grace_seconds=60)
    await stack.started(await stack.submit(payload={"seconds": 60}))
    first.terminate()
    await first.says("consumer_draining")
    first.terminate()
    assert await first.ended(within=3) == 128 + signal.SIGTERM


async def test_rolling_restart(stack: Stack) -> None:
    """Consumers are replaced one by one under load: no job fails, none is counted as crashed, none runs twice."""
    running = await stack.up(consumers=2)
    async with stack.load(seconds=0.2, batch=10):
        for old in running:
            await stack.consumer()
            old.terminate()
            assert await old.ended() == 0
        await stack.more_accepted(50)
    await stack.check_promise()
    assert await stack.count("status = 'COMPLETED' AND failures + crashes = 0") == len(stack.accepted)
    assert not stack.started_twice()


async def test_deaf_handler_does_not_keep_a_consumer_alive(stack: Stack) -> None:
    """A handler in a thread that nothing can stop is abandoned: the consumer ends after its grace time, the job runs elsewhere."""
    [first] = await stack.up(grace_seconds=0.2)
    job_id = await stack.submit("recorded.deaf", payload={"seconds": 60})
    await stack.started(job_id)
    first.terminate()
    await _ends_in_time(first)
    await stack.consumer()
    await stack.started(job_id, attempt=2)
    assert [attempt["outcome"] for attempt in await stack.attempts(job_id)] == ["handed_back"]


async def test_fenced_handlers_do_not_keep_a_consumer_alive(stack: Stack) -> None:
    """Handlers that run on after their lease was lost, in a thread or deaf to cancellation, do not keep the consumer from ending."""
    [first] = await stack.up(grace_seconds=0.2)
    await stack.submit("recorded.deaf", payload={"seconds": 60})
    await stack.submit("test.hang")
    await eventually(lambda: _both_run(stack))
    await stack.database.fetch("UPDATE leases SET dead_at = now()")
    await first.says("lease_lost")
    first.terminate()
    await _ends_in_time(first)
    assert await stack.count("finished_at IS NULL") == 2


async def _ends_in_time(process: Running) -> None:
    asked_at = time.monotonic()
    assert await process.ended(within=20) == 0
    assert time.monotonic() - asked_at < 0.2 + SLACK_SECONDS


async def _both_run(stack: Stack) -> bool:
    return await stack.count("status = 'PROCESSING'") == 2
