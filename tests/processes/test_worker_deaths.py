"""Consumers are killed, frozen and woken at every step of a job."""

import time

from tests.support.eventually import eventually
from tests.support.stack import DEFAULT_LEASE, Stack

PROMISED_SECONDS = 12.0  # after the death of its worker a job runs again, by default


async def test_kill_mid_job_runs_again_in_time(stack: Stack) -> None:
    """A job whose worker is killed runs again elsewhere within 12 s of the kill, with the default lease."""
    [first] = await stack.up(**DEFAULT_LEASE)
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


async def test_kill_at_every_step(stack: Stack) -> None:
    """Killed after the read, the claim, the handler or the settle: the job runs again where it must, and only there."""
    await stack.producer()
    jobs = {}
    for step in ("read", "claimed", "settling", "settled"):
        jobs[step] = await stack.submit(payload={"seconds": 0.01})
        victim = await stack.consumer(probes=f"{step}=kill", ready=False)
        assert await victim.ended() == -9
    assert (await stack.row(jobs["settled"]))["state"] == "COMPLETED"
    assert (await stack.broker.depths())["pending"] >= 4  # five when the reconciler was quick to miss the first
    await stack.consumer()
    await stack.check_promise()
    fates = {}
    for step, job_id in jobs.items():
        row = await stack.row(job_id)
        fates[step] = (row["attempts"], row["crashes"], row["failures"], len(stack.events("end", {job_id})))
    # On a slow machine the reconciler misses the first job while others still die, and the second or third of them takes it along.
    assert fates.pop("read") in {(1, 0, 0, 1), (2, 1, 0, 1), (2, 1, 0, 2)}
    assert fates == {"claimed": (2, 1, 0, 1), "settling": (2, 1, 0, 2), "settled": (1, 0, 0, 1)}


async def test_only_consumer_killed_and_restarted_under_load(stack: Stack) -> None:
    """The only consumer dies with work in hand; its successor finishes that, and what came in between."""
    [first] = await stack.up()
    async with stack.load(seconds=0.5, batch=10):
        await stack.more_accepted(50)
        first.kill()
        between = await stack.bulk(20)
        second = await stack.consumer()
        await stack.more_accepted(50)
    await stack.check_promise()
    assert {event.pid for event in stack.events("start", between)} == {second.pid}
    crashed = {row["key"] for row in await stack.rows() if row["crashes"] == 1}
    assert crashed
    assert stack.started_twice() <= crashed  # some were claimed and not yet begun


async def test_frozen_past_its_lease(stack: Stack) -> None:
    """A worker that freezes past its lease loses its jobs, has its late settle refused, and goes on under a new lease."""
    await stack.producer()
    first = await stack.consumer(probes="settling=stop")
    running = await stack.submit(payload={"seconds": 0.8})
    await stack.started(running)
    settling = await stack.submit()
    await first.frozen()
    second = await stack.consumer()
    await eventually(lambda: {event.job_id for event in stack.events("end") if event.pid == second.pid} == {running, settling}, 20)
    first.cont()
    await first.says("lease_lost")
    await first.says("settle_not_ours")
    second.terminate()  # whoever takes the next job is the one that was woken
    assert await second.ended() == 0
    assert (await stack.started(await stack.submit())).pid == first.pid
    await stack.check_promise()
    for job_id in (running, settling):
        row = await stack.row(job_id)
        assert (row["attempts"], int(row["worker"].split(":")[-2])) == (2, second.pid)
        assert [attempt["outcome"] for attempt in await stack.attempts(job_id)] == ["lost"]


async def test_frozen_between_claim_and_start(stack: Stack) -> None:
    """A worker that wakes up after its lease does not begin what it had claimed: it runs elsewhere, or is done."""
    await stack.producer()
    first = await stack.consumer(probes="claimed=stop")
    job_ids = await stack.bulk(20)
    await first.frozen()
    second = await stack.consumer()
    await eventually(lambda: {event.job_id for event in stack.events("end") if event.pid == second.pid} == set(job_ids), 20)
    first.cont()
    await first.says("lease_lost")
    second.terminate()
    assert await second.ended() == 0
    assert (await stack.started(await stack.submit())).pid == first.pid
    await stack.check_promise()
    assert {event.pid for event in stack.events("start", job_ids)} == {second.pid}


async def test_frozen_for_less_than_its_lease(stack: Stack) -> None:
    """A short freeze changes nothing: no job is taken away, none runs twice."""
    first, _ = await stack.up(consumers=2)
    async with stack.load():
        first.stop()
        frozen_at = time.monotonic()
        await eventually(lambda: time.monotonic() - frozen_at > 1.2, 5)
        first.cont()
        await stack.more_accepted(50)
    await stack.check_promise()
    assert not stack.started_twice()
    assert await stack.count("crashes + failures > 0") == 0
