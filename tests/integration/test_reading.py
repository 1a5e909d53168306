"""How the worker reads: it stops by a flag, loses no answer, and never holds an entry that no slot waits for."""

import asyncio
import time
import uuid
from typing import Any

import pytest
from msgspec import Raw

from chaos.proxy import Proxy
from shared import probe
from shared.ids import new_id
from shared.jobs import Context
from shared.keys import PRIORITIES
from shared.lifecycle import Status
from shared.models import NewJob
from tests.support.consumer import AT_ONCE, Stage
from tests.support.eventually import eventually
from tests.support.gate import Gate

NO_HELP: dict[str, Any] = {"lease_seconds": 60.0}  # whatever a reaper could repair would come too late for these tests


async def noop(_: Context, __: Any) -> None:
    """Succeed."""


@pytest.fixture
async def redis_wire(stage: Stage) -> Proxy:
    """The consumers' way to Redis."""
    return await stage.wire(stage.settings.redis_url)


@pytest.fixture
async def postgres_wire(stage: Stage) -> Proxy:
    """The consumers' way to PostgreSQL."""
    return await stage.wire(stage.settings.database_url)


async def test_an_idle_worker_stops_within_about_a_second(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real BLOCK: the waiting read is neither cancelled nor waited for any longer than it lasts."""
    monkeypatch.setattr("consumer.reader.BLOCK_SECONDS", 1.0)
    running = await stage.start({"noop": noop})
    await stage.reaches(await stage.submit("noop"), Status.COMPLETED)  # and so it has gone to wait for the next one
    await eventually(stage.is_empty)
    began = time.monotonic()
    await running.stop()
    assert time.monotonic() - began < 2.0


async def test_what_arrives_while_a_worker_stops_is_not_stranded(stage: Stage) -> None:
    """Entries are added at the very moment of the stop, five times: what the last read brought is run, the rest stays readable."""
    for _ in range(5):
        with probe.watch("read") as reads:
            running = await stage.start({"noop": noop}, roles=("worker",), **NO_HELP)
            await stage.submit_many(20, "noop")
            await eventually(reads.copy)
            adding = asyncio.create_task(_add_slowly(stage, 20))
            await running.stop()
            await adding
        assert (await stage.broker.depths())["pending"] == 0
    await stage.start({"noop": noop}, roles=("worker",))
    await eventually(stage.is_empty, within=20)
    assert await stage.database.fetch_value("SELECT count(*) FROM jobs WHERE status <> 'COMPLETED' OR attempts <> 1") == 0


async def test_an_answer_on_its_way_at_the_stop_is_not_stranded(stage: Stage, redis_wire: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis has handed the entry over, its answer is on the wire: a cancelled read would leave it in the list of a worker that is gone."""
    monkeypatch.setattr("consumer.reader.BLOCK_SECONDS", 2.0)
    running = await stage.start({"noop": noop}, roles=("worker",), redis_url=redis_wire.url, **NO_HELP)
    await eventually(lambda: b"XREADGROUP" in redis_wire.requests, what="a read under way")
    redis_wire.delay(0.2)
    job_id = await stage.submit("noop")

    async def handed_over() -> bool:
        return (await stage.broker.depths())["pending"] == 1

    await eventually(handed_over)
    running.consumer.stop()
    redis_wire.delay(0.0)
    await running.task
    row = await stage.row(job_id)
    assert (row["status"], row["attempts"]) == (Status.COMPLETED, 1)
    await stage.is_empty()


async def _add_slowly(stage: Stage, count: int) -> None:
    for _ in range(count):
        await stage.submit("noop")


async def test_an_answer_that_is_lost_is_found_in_the_own_pending_list(stage: Stage, redis_wire: Proxy) -> None:
    """XREADGROUP hands an entry over and the answer never comes: the worker looks into its own pending list, and runs the job once."""
    await stage.start({"noop": noop}, roles=("worker",), redis_url=redis_wire.url, **NO_HELP)
    redis_wire.drop_reply(b"XREADGROUP", reset=True)
    await eventually(lambda: not redis_wire._marker, what="a read under way")
    row = await stage.reaches(await stage.submit("noop"), Status.COMPLETED, within=5)
    assert redis_wire.reply_dropped.is_set()
    assert row["attempts"] == 1


async def test_a_claim_whose_answer_is_lost_is_undone_and_made_again(stage: Stage, postgres_wire: Proxy) -> None:
    """The row says that we run a job of which we never heard: it is handed back to the stream, at once and without a failure."""
    await stage.start({"noop": noop}, roles=("worker",), database_url=postgres_wire.url, **NO_HELP)
    await stage.reaches(await stage.submit("noop"), Status.COMPLETED)  # the statement is prepared: what follows are its arguments
    job = NewJob(id=new_id(), type="noop", payload=Raw(b"{}"))
    await stage.jobs.submit([job])
    postgres_wire.drop_reply(uuid.UUID(job.id).bytes, reset=True)
    await stage.broker.publish([(job.priority, job.id)])
    row = await stage.reaches(job.id, Status.COMPLETED, within=5)
    assert postgres_wire.reply_dropped.is_set()
    assert (row["attempts"], row["failures"], row["crashes"]) == (2, 0, 0)
    assert await stage.history(job.id) == ["handed_back"]


async def test_a_settle_whose_answer_is_lost_is_not_run_again(stage: Stage, postgres_wire: Proxy, gate: Gate) -> None:
    """The job is COMPLETED though we never heard it: the second try wins nothing, finds the row, and drops the entry."""
    await stage.start({"noop": noop, "gate": gate.__call__}, roles=("worker",), database_url=postgres_wire.url, **NO_HELP)
    await stage.reaches(await stage.submit("noop"), Status.COMPLETED)
    job_id = await stage.submit("gate")
    await eventually(lambda: gate.running)
    postgres_wire.drop_reply(uuid.UUID(job_id).bytes, reset=True)
    gate.open.set()
    row = await stage.reaches(job_id, Status.COMPLETED, within=5)
    await eventually(stage.is_empty)
    assert postgres_wire.reply_dropped.is_set()
    assert row["attempts"] == 1
    assert gate.running == [job_id]


async def test_a_take_gives_no_more_than_asked_for_over_all_streams(stage: Stage) -> None:
    """COUNT is per stream; three full streams must not give three times as much."""
    stage.leftovers = True
    await stage.broker.publish((priority, new_id()) for priority in PRIORITIES for _ in range(10))
    for count in (1, 5, 12):
        assert len(await stage.broker.take(f"reader {count}", count)) == count
    assert (await stage.broker.depths())["pending"] == 18


async def test_one_slot_holds_one_entry_however_many_streams_are_full(stage: Stage, gate: Gate) -> None:
    """Concurrency 1, thirty jobs in three streams: one is held, all others are there for another consumer."""
    for priority in PRIORITIES:
        await stage.submit_many(10, "gate", priority=priority)
    await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=1, **NO_HELP)
    await eventually(lambda: len(gate.running) == 1)
    assert (await stage.broker.depths())["pending"] == 1
    await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=1, **NO_HELP)
    await eventually(lambda: len(gate.running) == 2)
    assert (await stage.broker.depths())["pending"] == 2
    gate.open.set()
    await eventually(stage.is_empty)
    assert len(gate.running) == 30


async def test_a_waiting_read_that_brings_too_much_gives_it_back(stage: Stage, gate: Gate) -> None:
    """Three streams fill at one moment under a waiting read with one free slot: two entries are there for others at once."""
    new = [NewJob(id=new_id(), type="gate", payload=Raw(b"{}"), priority=priority, backoff=Raw(AT_ONCE)) for priority in PRIORITIES]
    await stage.jobs.submit(new)
    with probe.watch("read") as reads:
        await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=1, **NO_HELP)
        await eventually(lambda: len(reads) > 1, what="a waiting read")
        async with stage.broker.client.pipeline(transaction=True) as pipe:
            for job in new:
                pipe.xadd(stage.broker.keys.stream(job.priority), {"id": job.id})
            await pipe.execute()
        await eventually(lambda: gate.running)
    assert (await stage.broker.depths())["pending"] == 1
    await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=2, **NO_HELP)
    await eventually(lambda: len(gate.running) == 3, within=2)
    gate.open.set()


async def test_a_flood_of_urgent_jobs_does_not_starve_the_others(stage: Stage) -> None:
    """Every few reads begin with the least urgent stream."""
    order: list[str] = []

    async def note(_: Context, payload: Any) -> None:
        order.append(payload)

    await stage.submit_many(200, "note", priority="high", payload=b'"high"')
    await stage.submit("note", priority="low", payload=b'"low"')
    await stage.start({"note": note}, concurrency=1)
    await eventually(lambda: len(order) == 201, within=20)
    assert order.index("low") < 50
