"""Jobs that one more death of a worker would dead-letter: one at a time, one right after the other."""

import asyncio
from typing import Any

import pytest

from consumer import triage
from shared.broker import Broker
from shared.database import Database
from shared.jobs import Context
from shared.keys import DEFAULT_QUEUE
from shared.lifecycle import Status
from shared.queue_store import QueueStore
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.eventually import eventually

SUSPICIOUS = 2  # crashes, of a budget of three


class Line:
    """A handler that knows how many of it run at a time."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.begun = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, _ctx: Context, _payload: dict[str, Any]) -> None:
        """Run, when the gate is open."""
        self.running += 1
        self.begun += 1
        self.most = max(self.most, self.running)
        await self.gate.wait()
        await asyncio.sleep(0)
        self.running -= 1


async def crashed(stage: Stage, database: Database, count: int) -> list[str]:
    """Submit so many suspects."""
    ids = await stage.submit_many(count, "line")
    await database.fetch("UPDATE jobs SET crashes = $1", SUSPICIOUS)
    return ids


async def all_reach(stage: Stage, ids: list[str], status: Status, within: float) -> None:
    """Wait until all are there."""

    async def there() -> bool:
        left = await stage.database.fetch_value("SELECT count(*) FROM jobs WHERE id = ANY($1::uuid[]) AND status <> $2", ids, status)
        return bool(left == 0)

    await eventually(there, within, f"all in {status}")


async def test_many_suspects_run_one_after_the_other_without_a_pause(
    stage: Stage, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of those that wait here is put off, though that would be for a minute; never do two run at a time."""
    monkeypatch.setattr(triage, "_DEFERRED", dict.fromkeys(triage._DEFERRED, 60.0))
    line = Line()
    ids = await crashed(stage, database, 50)
    await stage.start({"line": line.run}, concurrency=200)
    await all_reach(stage, ids, Status.COMPLETED, 10)
    assert line.most == 1


async def test_what_has_no_room_here_is_put_off(stage: Stage, database: Database) -> None:
    """One in four slots is kept for them at most; the others come back, and all of them end."""
    line = Line()
    line.gate.clear()
    ids = await crashed(stage, database, 8)
    await stage.start({"line": line.run}, concurrency=8)
    await eventually(lambda: line.running == 1, what="the first runs")

    async def put_off() -> bool:
        return (await stage.broker.depths())["delayed"] == 5  # one runs and two wait

    await eventually(put_off, what="the others are in the ZSET")
    line.gate.set()
    await all_reach(stage, ids, Status.COMPLETED, 15)
    assert line.most == 1


async def test_those_that_wait_do_not_keep_others_from_running(stage: Stage, database: Database) -> None:
    """The other slots are for jobs that nobody suspects."""
    line, free = Line(), Line()
    line.gate.clear()
    await crashed(stage, database, 20)
    stage.leftovers = True
    await stage.start({"line": line.run, "free": free.run}, concurrency=8)
    await eventually(lambda: line.running == 1, what="the first runs")
    ids = await stage.submit_many(30, "free")
    await all_reach(stage, ids, Status.COMPLETED, 10)
    assert (line.most, line.running) == (1, 1)
    assert free.most > 1
    line.gate.set()


async def test_a_worker_that_ends_lets_them_go(stage: Stage, database: Database, broker: Broker) -> None:
    """What waited runs elsewhere at once; nothing stays in the pending list of who has ended, and nobody has lost a chance."""
    first, second = Line(), Line()
    first.gate.clear()
    ids = await crashed(stage, database, 10)
    leaving = await stage.start({"line": first.run}, concurrency=100, grace_seconds=5.0)
    await eventually(lambda: first.running == 1, what="the first runs")
    stopping = asyncio.create_task(leaving.stop())
    await asyncio.sleep(0)
    first.gate.set()
    await stopping
    assert (await broker.depths())["pending"] == 0
    await stage.start({"line": second.run}, concurrency=100)
    await all_reach(stage, ids, Status.COMPLETED, 10)
    assert await database.fetch_value("SELECT max(crashes) FROM jobs") == SUSPICIOUS


async def test_a_queue_that_is_paused_lets_none_begin(stage: Stage, database: Database) -> None:
    """Those that waited here wait in Redis then."""
    line = Line()
    line.gate.clear()
    ids = await crashed(stage, database, 10)
    running = await stage.start({"line": line.run}, concurrency=100)
    await eventually(lambda: line.running == 1, what="the first runs")
    queues = QueueStore(database)
    await queues.pause(DEFAULT_QUEUE, paused=True)
    await eventually(lambda: not running.consumer._queues.open, what="the worker knows")
    line.gate.set()

    async def one_only() -> bool:
        ended = await database.fetch_value("SELECT count(*) FROM jobs WHERE status = 'COMPLETED'")
        depths = await stage.broker.depths()
        return bool((ended, depths["pending"]) == (1, 0))

    await eventually(one_only, what="one has ended, the others are put off")
    await queues.pause(DEFAULT_QUEUE, paused=False)
    await all_reach(stage, ids, Status.COMPLETED, 15)
    assert line.most == 1


async def test_the_next_waits_until_the_success_of_the_one_before_is_on_disk(stage: Stage, database: Database, settings: Settings) -> None:
    """Otherwise a job that kills the worker would take along a neighbour that has ended well."""
    line = Line()
    ids = await crashed(stage, database, 2)
    other = Database(settings.database_url, "other")
    async with other.transaction() as holding:
        line.gate.clear()
        await stage.start({"line": line.run}, concurrency=100, roles=("worker",))
        await eventually(lambda: line.running == 1, what="the first runs")
        await holding.fetch("SELECT FROM jobs WHERE id = ANY($1::uuid[]) AND status = 'PROCESSING' FOR UPDATE", ids)
        line.gate.set()
        await eventually(lambda: _settle_waits(database), what="the settle waits for the row")
        assert (line.running, line.begun) == (0, 1)
    await other.close()
    await all_reach(stage, ids, Status.COMPLETED, 10)
    assert line.begun == 2


async def _settle_waits(database: Database) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await database.fetch_value(query))


async def test_those_that_wait_long_are_not_put_off_by_the_reconcilers_repair(
    stage: Stage, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Due, read, and untouched since: for the reconciler they have lost their entries. A second one is dropped, and costs no pause."""
    monkeypatch.setattr(triage, "_DEFERRED", dict.fromkeys(triage._DEFERRED, 60.0))
    line = Line()
    line.gate.clear()
    ids = await crashed(stage, database, 5)
    await stage.start({"line": line.run}, concurrency=100)
    await eventually(lambda: line.running == 1, what="the first runs")
    for _ in range(3):
        await stage.broker.publish(("normal", job_id) for job_id in ids)

    async def dropped() -> bool:
        return (await stage.broker.depths())["normal"] == 5

    await eventually(dropped, what="the second entries are dropped")
    line.gate.set()
    await all_reach(stage, ids, Status.COMPLETED, 10)
    assert (line.most, line.begun) == (1, 5)


async def test_those_that_cannot_run_here_do_not_wait_here(stage: Stage, database: Database) -> None:
    """An expired one is cancelled at once, one of another type comes to who knows it."""
    line, other = Line(), Line()
    line.gate.clear()
    await crashed(stage, database, 1)
    await stage.start({"line": line.run}, concurrency=100, roles=("worker", "delayer"))
    await eventually(lambda: line.running == 1, what="the first runs")
    [expired] = await stage.submit_many(1, "line", delay=0.3)
    [elsewhere] = await stage.submit_many(1, "other", delay=0.3)
    await database.fetch("UPDATE jobs SET crashes = $1", SUSPICIOUS)
    await database.fetch("UPDATE jobs SET expires_at = now() WHERE id = $1", expired)
    await stage.reaches(expired, Status.CANCELLED)
    await stage.start({"other": other.run}, concurrency=100)
    await stage.reaches(elsewhere, Status.COMPLETED, 30)
    assert line.running == 1
    line.gate.set()
