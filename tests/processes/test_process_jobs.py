"""Jobs in child processes, jobs that block the loop: with real consumers, real kills."""

import psutil

from tests.support.eventually import eventually
from tests.support.running_up import gone
from tests.support.stack import Running, Stack

LEASE_SECONDS = 3
BLOCK_SECONDS = 13


def children(consumer: Running) -> list[psutil.Process]:
    """Return the processes that this consumer has started."""
    return psutil.Process(consumer.pid).children(recursive=True)


async def test_a_killed_consumer_takes_its_children_along(stack: Stack) -> None:
    """SIGKILL cannot be caught: the kernel ends the children, and their jobs run again elsewhere, once."""
    [first] = await stack.up()
    job_ids = await stack.bulk(2, "recorded.process", payload={"seconds": 2})
    for job_id in job_ids:
        await stack.started(job_id)
    family = children(first)
    assert len(family) >= 1
    second = await stack.consumer()
    first.kill()
    await eventually(lambda: gone(family), what="the end of the children")
    for job_id in job_ids:
        await stack.started(job_id, attempt=2, within=20)
    await eventually(lambda: len(stack.events("end", job_ids)) == 2, within=20, what="the end of both jobs")
    assert {event.pid for event in stack.events("end", job_ids)} <= {child.pid for child in children(second)}


async def test_a_second_signal_leaves_no_children(stack: Stack) -> None:
    """The consumer ends at once, and so do its children, whatever they do."""
    [first] = await stack.up(grace_seconds=60)
    await stack.started(await stack.submit("recorded.process", payload={"seconds": 60}))
    family = children(first)
    first.terminate()
    await first.says("consumer_draining")
    first.terminate()
    await first.ended(within=3)
    await eventually(lambda: gone(family), what="the end of the children")


async def test_sigterm_kills_what_does_not_end(stack: Stack) -> None:
    """After the grace time the child is stopped, the job is handed back, the exit code is 0, and nothing is left."""
    [first] = await stack.up(grace_seconds=0.5)
    job_id = await stack.submit("recorded.process", payload={"seconds": 60})
    await stack.started(job_id)
    family = children(first)
    first.terminate()
    assert await first.ended() == 0
    assert gone(family)
    assert [attempt["outcome"] for attempt in await stack.attempts(job_id)] == ["handed_back"]


async def test_a_handler_that_blocks_the_loop_for_long(stack: Stack) -> None:
    """Four lease times without the loop: the heartbeat goes on, nobody takes the job or its neighbours, none runs twice."""
    await stack.up(consumers=2, lease_seconds=LEASE_SECONDS)
    neighbours = await stack.bulk(10, payload={"seconds": 1})
    blocking = await stack.submit("recorded.blocking", payload={"seconds": BLOCK_SECONDS})
    began = await stack.started(blocking)
    await eventually(lambda: stack.events("end", {blocking}), within=BLOCK_SECONDS + 10, what="the end of the block")
    [end] = stack.events("end", {blocking})
    assert end.time - began.time >= BLOCK_SECONDS > 4 * LEASE_SECONDS
    await eventually(lambda: _all_ended(stack), within=20, what="the end of all jobs")
    assert await stack.count("attempts = 1 AND crashes = 0 AND status = 'COMPLETED'") == len(neighbours) + 1
    assert not stack.started_twice()
    assert await stack.database.fetch_value("SELECT count(*) FROM leases") == 2


async def _all_ended(stack: Stack) -> bool:
    return await stack.count("finished_at IS NULL") == 0
