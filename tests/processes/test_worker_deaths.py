"""Consumers are killed, frozen and woken at every step of a job."""

import time

from tests.support.eventually import eventually
from tests.support.stack import DEFAULT_LEASE, Stack

PROMISED_SECONDS = 12.0  # after the death of its worker a job runs again, by default


async def test_kill_mid_job_runs_again_in_time(stack: Stack) -> None:
    """A job whose worker is killed runs again elsewhere within 12 s of the kill, with the default lease."""
    await stack.producer()
    first = await stack.consumer(**DEFAULT_LEASE)
    job_ids = await stack.bulk(20, payload={"seconds": 60})
    for job_id in job_ids:
        assert (await stack.started(job_id)).pid == first.pid
    second = await stack.consumer(**DEFAULT_LEASE)
    killed_at = time.time()
    first.kill()
    for job_id in job_ids:
        again = await stack.started(job_id, attempt=2, within=20)
        assert again.pid == second.pid
        assert again.time - killed_at < PROMISED_SECONDS
        assert (await stack.attempts(job_id))[0]["outcome"] == "lost"


async def test_kill_between_settle_and_ack(stack: Stack) -> None:
    """A job that was settled but not acknowledged does not run again."""
    await stack.producer()
    first = await stack.consumer(probes="settled=kill")
    job_id = await stack.submit()
    assert await first.ended() == -9
    assert (await stack.row(job_id))["state"] == "COMPLETED"
    assert (await stack.broker.depths())["pending"] == 1
    await stack.consumer()
    await stack.check_promise()
    assert not stack.started_twice()


async def test_kill_between_read_and_claim(stack: Stack) -> None:
    """An entry that was read and never claimed comes to another worker; the job counts no crash."""
    await stack.producer()
    job_id = await stack.submit()
    first = await stack.consumer(probes="read=kill", ready=False)
    assert await first.ended() == -9
    await stack.consumer()
    await stack.check_promise()
    row = await stack.row(job_id)
    assert (row["state"], row["attempts"], row["crashes"]) == ("COMPLETED", 1, 0)


async def test_kill_after_claim(stack: Stack) -> None:
    """A job that was claimed and hardly begun is taken from the dead worker and counts one crash."""
    await stack.producer()
    job_id = await stack.submit()
    first = await stack.consumer(probes="claimed=kill", ready=False)
    assert await first.ended() == -9
    await stack.consumer()
    await stack.check_promise()
    row = await stack.row(job_id)
    assert (row["state"], row["attempts"], row["crashes"], row["failures"]) == ("COMPLETED", 2, 1, 0)


async def test_kill_under_load(stack: Stack) -> None:
    """One of two workers is killed while both are busy; nothing is lost."""
    await stack.producer()
    first, _ = await stack.consumer(), await stack.consumer()
    async with stack.load(seconds=0.5, batch=10):
        await stack.more_accepted(100)
        first.kill()
        await stack.more_accepted(100)
    await stack.check_promise()
    assert await stack.count("crashes = 1") > 0
    assert await stack.count("crashes > 1") == 0


async def test_only_consumer_killed_and_restarted(stack: Stack) -> None:
    """The only consumer dies with work in hand; its successor finishes it, and what came in between."""
    await stack.producer()
    first = await stack.consumer()
    held = await stack.bulk(5, payload={"seconds": 1})
    for job_id in held:
        await stack.started(job_id)
    first.kill()
    between = await stack.bulk(20)
    second = await stack.consumer()
    await stack.check_promise()
    assert stack.started_twice() == set(held)
    assert {event.pid for event in stack.events("start", between)} == {second.pid}


async def test_frozen_past_its_lease(stack: Stack) -> None:
    """A worker that sleeps past its lease loses its jobs; its late settle is refused, and it goes on under a new lease."""
    await stack.producer()
    first = await stack.consumer()
    slow = await stack.submit(payload={"seconds": 0.5})
    await stack.started(slow)
    first.stop()
    second = await stack.consumer()
    await eventually(lambda: stack.events("end", {slow}), 20, "the end elsewhere")
    first.cont()
    await first.says("lease_lost")
    second.terminate()  # whoever takes the next job is the one that was woken
    assert await second.ended() == 0
    later = await stack.submit()
    assert (await stack.started(later)).pid == first.pid
    await stack.check_promise()
    row = await stack.row(slow)
    assert (row["attempts"], int(row["worker"].split(":")[-2])) == (2, second.pid)
    assert [attempt["outcome"] for attempt in await stack.attempts(slow)] == ["lost"]


async def test_frozen_before_its_settle(stack: Stack) -> None:
    """A worker that freezes with the outcome in its hand finds, when it wakes, that the job is another's."""
    await stack.producer()
    first = await stack.consumer(probes="settling=stop")
    job_id = await stack.submit()
    await first.frozen()
    second = await stack.consumer()
    again = await stack.started(job_id, attempt=2, within=20)
    assert again.pid == second.pid
    first.cont()
    await first.says("settle_not_ours")
    await stack.check_promise()
    assert (await stack.row(job_id))["attempts"] == 2


async def test_frozen_for_less_than_its_lease(stack: Stack) -> None:
    """A short freeze changes nothing: no job is taken away, none runs twice."""
    await stack.producer()
    first, _ = await stack.consumer(), await stack.consumer()
    async with stack.load():
        first.stop()
        frozen_at = time.monotonic()
        await eventually(lambda: time.monotonic() - frozen_at > 1.2, 5)
        first.cont()
        await stack.more_accepted(50)
    await stack.check_promise()
    assert not stack.started_twice()
    assert await stack.count("crashes + failures > 0") == 0
