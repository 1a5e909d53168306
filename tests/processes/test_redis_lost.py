"""Redis loses what it held or goes away while jobs wait, run and are delayed. That costs time, but no job, and no second run."""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from tests.processes.conftest import Servers
from tests.support.eventually import eventually
from tests.support.stack import Stack


async def _jobs_in_every_state(stack: Stack) -> set[str]:
    """Some run, some wait for a slot, some wait for their time; some have failed and wait for their second attempt: return those."""
    await stack.up(consumers=2, concurrency=10)
    again = set(await stack.bulk(10, payload={"failures": 1}, backoff={"kind": "fixed", "base": 3, "jitter": 0}))
    await eventually(lambda: _all_failed_once(stack, again), what="the first failure of all of them")
    running = await stack.bulk(20, payload={"seconds": 1.5})
    for job_id in running:
        await stack.started(job_id)
    for priority in ("high", "normal", "low"):
        await stack.bulk(10, payload={"seconds": 0.05}, priority=priority)
    await stack.bulk(10, delay=2)
    return again


async def _all_failed_once(stack: Stack, job_ids: set[str]) -> bool:
    return await stack.count("failures = 1") == len(job_ids)


async def _all_ran_once(stack: Stack, again: set[str], hopeless: int = 0) -> None:
    """Who was asked to fail once ran as attempt 1 and as attempt 2, everybody else once. So many were asked to fail for good."""
    await stack.check_promise()
    assert stack.started_twice() == again
    assert sorted((event.job_id, event.attempt) for event in stack.events("start", again)) == sorted(product(again, (1, 2)))
    assert await stack.count("status = 'COMPLETED' AND failures = 1 AND crashes = 0") == len(again)
    assert await stack.count("status = 'COMPLETED' AND failures + crashes = 0") == len(stack.accepted) - len(again) - hopeless


async def test_flushall(fragile: Stack) -> None:
    """FLUSHALL while jobs wait, run and are delayed: all finish, no handler starts twice."""
    again = await _jobs_in_every_state(fragile)
    await fragile.broker.client.flushall()
    await fragile.bulk(10)
    await _all_ran_once(fragile, again)


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
    again = await _jobs_in_every_state(fragile)
    for stream in fragile.broker.keys.streams:
        assert await fragile.broker.client.xgroup_destroy(stream, fragile.settings.group)
    await _all_ran_once(fragile, again)


async def test_streams_deleted(fragile: Stack) -> None:
    """The streams are deleted, and with them their groups: all finish, no handler starts twice."""
    again = await _jobs_in_every_state(fragile)
    keys = fragile.broker.keys
    assert await fragile.broker.client.delete(*keys.streams) == len(keys.streams)
    await _all_ran_once(fragile, again)


async def test_zset_dlq_and_random_entries_deleted(fragile: Stack) -> None:
    """Delayed jobs, dead letters and half of all entries, read and unread, are deleted: all finish once, the DLQ is complete."""
    again = await _jobs_in_every_state(fragile)
    hopeless = await fragile.bulk(5, payload={"failures": 9}, max_attempts=1, priority="high")
    client, keys = fragile.broker.client, fragile.broker.keys
    await eventually(lambda: client.exists(keys.dlq), what="a letter, which follows its row")
    assert await client.delete(keys.delayed, keys.dlq) == 2
    await fragile.bulk(100, payload={"seconds": 0.5})  # five rounds of them: there is something to delete, however fast the rest was
    entries = await eventually(lambda: _half_of_them(fragile), what="entries")
    deleted = await client.xdel(keys.stream("normal"), *entries)
    assert deleted > len(entries) // 2, "some may have been acknowledged since they were listed"
    await _all_ran_once(fragile, again, len(hopeless))


async def _half_of_them(stack: Stack) -> list[bytes]:
    entries = [entry_id for entry_id, _ in await stack.broker.client.xrange(stack.broker.keys.stream("normal"))]
    assert len(entries) > 50
    return random.sample(entries, len(entries) // 2)


async def test_killed_and_restarted_under_load(fragile: Stack, servers: Servers) -> None:
    """Valkey dies by SIGKILL under load and comes back with what its append-only file holds; submits are accepted all the time."""
    again = await _jobs_in_every_state(fragile)
    async with fragile.load() as answers:
        servers.valkey.kill()
        await fragile.more_accepted(30)
        servers.valkey.start()
        await fragile.more_accepted(30)
    assert set(answers) == {202}
    await _all_ran_once(fragile, again)


async def test_restarted_empty_under_load(fragile: Stack, servers: Servers) -> None:
    """Valkey dies and comes back with nothing: all finish, no handler starts twice."""
    again = await _jobs_in_every_state(fragile)
    async with fragile.load() as answers:
        servers.valkey.kill()
        await fragile.more_accepted(30)
        shutil.rmtree(servers.valkey.data_dir / "appendonlydir")
        servers.valkey.start()
        await fragile.more_accepted(30)
    assert set(answers) == {202}
    await _all_ran_once(fragile, again)


async def test_restarted_with_files_of_some_time_ago(fragile: Stack, servers: Servers, tmp_path: Path) -> None:
    """Valkey comes back as it was: what ended since stays ended, what came since comes back, and so it is with the dead letters."""
    again = await _jobs_in_every_state(fragile)
    replayed = await _dead(fragile, letters=1)
    files, copy = servers.valkey.data_dir / "appendonlydir", tmp_path / "copy"
    _copy(files, copy)
    await fragile.post(f"/jobs/{replayed}/retry", {}, expect=202)
    await fragile.started(replayed, attempt=2)
    await fragile.bulk(10, delay=2)
    await _dead(fragile, letters=1)
    done = await fragile.bulk(10, priority="high")
    for job_id in done:
        await fragile.started(job_id)
    waiting = await fragile.bulk(60, payload={"seconds": 0.3})  # three rounds of them: most have only their entries when those are lost
    await eventually(lambda: fragile.events("start", waiting))
    servers.valkey.kill()
    await fragile.bulk(10)
    shutil.rmtree(files)
    _copy(copy, files)
    servers.valkey.start()
    await fragile.bulk(10)
    await fragile.check_promise()
    assert fragile.started_twice() == again | {replayed}
    assert not [event for event in fragile.events("start") if event.attempt > 2]
    assert await fragile.count("status = 'FAILED'") == 1


async def _dead(stack: Stack, letters: int) -> str:
    """Return the id of a job that has failed for good, and will succeed when it is replayed; there are so many letters then."""
    job_id = await stack.submit(payload={"failures": 1}, max_attempts=1, priority="high")
    await eventually(lambda: _buried(stack, job_id, letters), what="its letter")
    return job_id


async def _buried(stack: Stack, job_id: str, letters: int) -> bool:
    places = await stack.database.fetch("SELECT entry_id FROM dead_letters WHERE job_id = $1 AND entry_id IS NOT NULL", job_id)
    return len(places) == 1 and (await stack.broker.depths())["dlq"] == letters


def _copy(source: Path, target: Path) -> None:
    """Copy files with their owner. Those of a running Valkey are whole up to some moment: they are only added to while they are small."""
    subprocess.run(["cp", "--archive", source, target], check=True)


async def test_frozen_under_load(fragile: Stack, servers: Servers) -> None:
    """Valkey does not answer until everybody has noticed: submits are accepted meanwhile, all finish, no handler starts twice."""
    again = await _jobs_in_every_state(fragile)
    async with fragile.load() as answers:
        with _frozen(servers):
            for process in fragile.processes:
                await process.says("interrupted")
            await fragile.more_accepted(30)
        await fragile.more_accepted(30)
    assert set(answers) == {202}
    await _all_ran_once(fragile, again)


@contextmanager
def _frozen(servers: Servers) -> Iterator[None]:
    assert servers.valkey.pid is not None
    os.kill(servers.valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(servers.valkey.pid, signal.SIGCONT)
