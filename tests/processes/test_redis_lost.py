"""Redis loses what it held or goes away while jobs wait, run and are delayed. That costs time, but no job, and no second run."""

import random
import shutil

from tests.processes.conftest import Servers
from tests.support.eventually import eventually
from tests.support.stack import Stack


async def _jobs_in_every_state(stack: Stack) -> None:
    """Some run, some wait for a slot, some wait for their time."""
    await stack.up(consumers=2, concurrency=10)
    running = await stack.bulk(20, payload={"seconds": 1.5})
    for job_id in running:
        await stack.started(job_id)
    for priority in ("high", "normal", "low"):
        await stack.bulk(10, payload={"seconds": 0.05}, priority=priority)
    await stack.bulk(10, delay=2)


async def _all_ran_once(stack: Stack) -> None:
    await stack.check_promise()
    assert not stack.started_twice()
    assert await stack.count("status = 'COMPLETED' AND failures + crashes = 0") == len(stack.accepted)


async def test_flushall(fragile: Stack) -> None:
    """FLUSHALL while jobs wait, run and are delayed: all finish, no handler starts twice."""
    await _jobs_in_every_state(fragile)
    await fragile.broker.client.flushall()
    await fragile.bulk(10)
    await _all_ran_once(fragile)


async def test_flushall_under_load(fragile: Stack) -> None:
    """FLUSHALL again and again under load, dead letters included: all finish, no handler starts twice, the DLQ is complete."""
    await fragile.up(consumers=2)
    hopeless = await fragile.bulk(5, payload={"failures": 9}, max_attempts=1)
    await eventually(lambda: fragile.count("status = 'FAILED'"))
    async with fragile.load():
        for _ in range(5):
            await fragile.broker.client.flushall()
            hopeless += await fragile.bulk(5, payload={"failures": 9}, max_attempts=1)
            await fragile.more_accepted(30)
    await fragile.check_promise()
    assert not fragile.started_twice()
    assert await fragile.count("status = 'FAILED'") == len(hopeless)


async def test_group_destroyed(fragile: Stack) -> None:
    """The consumer groups are destroyed, and with them who had which entry: all finish, no handler starts twice."""
    await _jobs_in_every_state(fragile)
    for stream in fragile.broker.keys.streams:
        assert await fragile.broker.client.xgroup_destroy(stream, fragile.settings.group)
    await _all_ran_once(fragile)


async def test_streams_deleted(fragile: Stack) -> None:
    """The streams are deleted, and with them their groups: all finish, no handler starts twice."""
    await _jobs_in_every_state(fragile)
    keys = fragile.broker.keys
    assert await fragile.broker.client.delete(*keys.streams) == len(keys.streams)
    await _all_ran_once(fragile)


async def test_zset_dlq_and_random_entries_deleted(fragile: Stack) -> None:
    """Delayed jobs, dead letters and half of all entries, read and unread, are deleted: all finish once, the DLQ is complete."""
    await _jobs_in_every_state(fragile)
    hopeless = await fragile.bulk(5, payload={"failures": 9}, max_attempts=1, priority="high")
    client, keys = fragile.broker.client, fragile.broker.keys
    await eventually(lambda: client.exists(keys.dlq), what="a letter, which follows its row")
    assert await client.delete(keys.delayed, keys.dlq) == 2
    await fragile.bulk(100, payload={"seconds": 0.5})  # five rounds of them: there is something to delete, however fast the rest was
    entries = await eventually(lambda: _half_of_them(fragile), what="entries")
    deleted = await client.xdel(keys.stream("normal"), *entries)
    assert deleted > len(entries) // 2, "some may have been acknowledged since they were listed"
    await fragile.check_promise()
    assert not fragile.started_twice()
    assert await fragile.count("status = 'COMPLETED' AND failures + crashes = 0") == len(fragile.accepted) - len(hopeless)


async def _half_of_them(stack: Stack) -> list[bytes]:
    entries = [entry_id for entry_id, _ in await stack.broker.client.xrange(stack.broker.keys.stream("normal"))]
    assert len(entries) > 50
    return random.sample(entries, len(entries) // 2)


async def test_killed_and_restarted_under_load(fragile: Stack, servers: Servers) -> None:
    """Valkey dies by SIGKILL under load and comes back with what its append-only file holds; submits are accepted all the time."""
    await _jobs_in_every_state(fragile)
    async with fragile.load() as answers:
        servers.valkey.kill()
        await fragile.more_accepted(30)
        servers.valkey.start()
        await fragile.more_accepted(30)
    assert set(answers) == {202}
    await _all_ran_once(fragile)


async def test_restarted_empty_under_load(fragile: Stack, servers: Servers) -> None:
    """Valkey dies and comes back with nothing: all finish, no handler starts twice."""
    await _jobs_in_every_state(fragile)
    async with fragile.load() as answers:
        servers.valkey.kill()
        await fragile.more_accepted(30)
        shutil.rmtree(servers.valkey.data_dir / "appendonlydir")
        servers.valkey.start()
        await fragile.more_accepted(30)
    assert set(answers) == {202}
    await _all_ran_once(fragile)
