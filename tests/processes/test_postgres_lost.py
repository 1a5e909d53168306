"""PostgreSQL crashes, throws everybody out, freezes or stays away."""

import os
import signal
import time

from tests.processes.conftest import Servers
from tests.support.eventually import eventually
from tests.support.stack import Running, Stack

SLACK_SECONDS = 12.0  # beyond the grace time: for settling, for a last word to the lease, and on a busy machine


def _crash(servers: Servers) -> None:
    """Stop PostgreSQL in its mode `immediate`: no checkpoint, recovery at the next start."""
    assert servers.postgres.pid is not None
    os.kill(servers.postgres.pid, signal.SIGQUIT)


async def test_crash_and_restart_under_load(fragile: Stack, servers: Servers) -> None:
    """PostgreSQL is stopped `immediate` and restarted under load: submits get 503 meanwhile, everything accepted finishes."""
    await fragile.up(consumers=2, submit_timeout_seconds=1)
    async with fragile.load(seconds=0.3) as answers:
        _crash(servers)
        await eventually(lambda: answers[503], 15)
        assert not servers.postgres.alive
        servers.postgres.start()
        await fragile.more_accepted(50)
    await fragile.check_promise(lost_claims=True)
    assert await fragile.count("status = 'COMPLETED' AND failures = 0") == await fragile.count("true")


async def test_all_connections_terminated_under_load(fragile: Stack) -> None:
    """pg_terminate_backend on all connections, again and again: nothing fails, nothing is lost, nothing runs twice."""
    await fragile.up(consumers=2)
    terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name ~ '^millstream (?!check)'"
    async with fragile.load() as answers:
        for _ in range(5):
            assert await fragile.database.fetch_value(terminate)
            await fragile.more_accepted(30)
    assert set(answers) == {202}
    await fragile.check_promise()
    assert await fragile.count("status = 'COMPLETED' AND failures + crashes = 0") == len(fragile.accepted)


async def test_consumer_ends_while_postgres_is_down(fragile: Stack, servers: Servers) -> None:
    """A consumer that is told to end while PostgreSQL is down ends soon after its grace time; its jobs run again later."""
    [first] = await fragile.up(grace_seconds=0.2)
    job_ids = await fragile.bulk(5, payload={"seconds": 0.5})
    for job_id in job_ids:
        await fragile.started(job_id)
    servers.postgres.kill()
    await eventually(lambda: fragile.events("end"))
    await _ends_in_time(first)
    servers.postgres.start()
    await fragile.consumer()
    await fragile.check_promise(lost_claims=True)


async def test_consumer_ends_while_postgres_is_frozen(fragile: Stack, servers: Servers) -> None:
    """The same while PostgreSQL does not answer at all, as in a network that swallows packets; its job runs again when it does."""
    [first] = await fragile.up(grace_seconds=0.2)
    await fragile.started(await fragile.submit(payload={"seconds": 0.5}))
    backends = await fragile.database.fetch("SELECT pid FROM pg_stat_activity WHERE application_name ~ '^millstream'")
    assert servers.postgres.pid is not None
    frozen = [servers.postgres.pid, *(row["pid"] for row in backends)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        await eventually(lambda: fragile.events("end"))
        await _ends_in_time(first)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    await fragile.consumer()
    await fragile.check_promise(lost_claims=True)


async def test_claim_forgotten_in_a_crash(fragile: Stack) -> None:
    """PostgreSQL crashed before it wrote a claim: the job runs again once its first handler has ended here, and nothing spins."""
    await fragile.up()
    job_id = await fragile.submit(payload={"seconds": 1.5})
    await fragile.started(job_id)
    # Claims are not waited for (synchronous_commit=off). This is what the row looks like when one is lost.
    await fragile.database.fetch("UPDATE jobs SET status = 'PENDING', attempts = 0, lease_id = NULL, worker = NULL WHERE id = $1", job_id)
    await fragile.broker.publish([("normal", job_id)])  # as the reconciler would
    await fragile.check_promise(lost_claims=True)
    first_end, second_start = fragile.events("end", {job_id})[0], fragile.events("start", {job_id})[1]
    assert first_end.time <= second_start.time
    assert (await fragile.broker.client.xinfo_stream(fragile.broker.keys.base))["entries-added"] < 10


async def test_everything_starts_before_postgres(fragile: Stack, servers: Servers) -> None:
    """Producer and consumer that are started while PostgreSQL is down work as soon as it is up."""
    await fragile.database.fetch("TRUNCATE job_types")
    servers.postgres.kill()
    await fragile.producer(ready=False)
    await fragile.consumer(ready=False)
    await eventually(lambda: all("unavailable" in process.text() for process in fragile.processes), 20)
    servers.postgres.start()

    async def accepted() -> bool:
        return (await fragile.post("/jobs", {"type": "recorded"}))[0] == 202

    await eventually(accepted, 20)
    await fragile.check_promise()


async def _ends_in_time(process: Running) -> None:
    process.terminate()
    asked_at = time.monotonic()
    await process.ended(within=60)
    assert time.monotonic() - asked_at < 0.2 + SLACK_SECONDS
