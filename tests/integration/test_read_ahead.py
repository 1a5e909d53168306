"""While the jobs of one batch are claimed the next is read: within slots and the limits of queues, and nothing is taken for lost."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from consumer import reader
from consumer.portions import Portions
from consumer.reader import Reader
from shared import probe
from shared.database import Transaction
from shared.ids import new_id
from shared.lifecycle import Status
from shared.models import Entry, NewJob
from shared.queue_store import QueueStore
from shared.queues import Queues
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.gate import Gate

NO_HELP: dict[str, Any] = {"lease_seconds": 60.0}  # whatever a reaper could repair would come too late for these tests
HANGING = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'millstream claim' AND datname = current_database()"


@pytest.fixture
def shortly(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let a read wait for long, until this is called: the worker has read ahead once, and what comes meanwhile must find it there."""
    monkeypatch.setattr(reader, "BLOCK_SECONDS", 20.0)
    return monkeypatch.undo


async def _reads_ahead(stage: Stage) -> None:
    async def waits() -> bool:
        return bool((await stage.broker.command("INFO", "clients"))["blocked_clients"])

    await eventually(waits, what="a read that waits")


async def _pending(stage: Stage, count: int) -> None:
    async def there() -> bool:
        return (await stage.broker.depths())["pending"] == count

    await eventually(there, what=f"{count} entries pending")


async def _claim_that_hangs(stage: Stage, locks: Transaction) -> str:
    """Return a job whose entry is read, and whose row is locked."""
    job = NewJob(id=new_id(), type="gate", payload=Raw(b"{}"))
    await stage.jobs.submit([job])
    await locks.fetch("SELECT FROM jobs WHERE id = $1 FOR UPDATE", job.id)
    await stage.broker.publish([(job.priority, job.id)])

    async def hangs() -> object:
        return await stage.database.fetch_value(f"SELECT pid {HANGING}")

    await eventually(hangs, what="a claim that waits for the row")
    return job.id


async def test_the_next_job_is_read_while_one_is_claimed(stage: Stage, gate: Gate, locks: Transaction, shortly: Callable[[], None]) -> None:
    """Two slots: the second entry is the worker's before the first claim has its answer; both run once."""
    await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=2, **NO_HELP)
    first = await _claim_that_hangs(stage, locks)
    await _reads_ahead(stage)
    second = await stage.submit("gate")
    await _pending(stage, 2)
    shortly()
    assert gate.running == []
    await locks.script("ROLLBACK")
    await eventually(lambda: sorted(gate.running) == sorted([first, second]))
    gate.open.set()
    await eventually(stage.is_empty)


@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"concurrency": 9, "queue_concurrency": (("default", 1),)}], ids=["slots", "queue"])
async def test_what_is_being_claimed_counts_against_the_limit(stage: Stage, gate: Gate, locks: Transaction, limit: dict[str, Any]) -> None:
    """One at a time, and that one is being claimed: the next job is for another worker."""
    await stage.start({"gate": gate.__call__}, roles=("worker",), **limit, **NO_HELP)
    await _claim_that_hangs(stage, locks)
    second = await stage.submit("gate")
    await stage.start({"gate": gate.__call__}, roles=("worker",), **limit, **NO_HELP)
    await eventually(lambda: gate.running == [second], within=5)
    await locks.script("ROLLBACK")
    gate.open.set()
    await eventually(stage.is_empty)


async def test_what_is_being_claimed_is_no_stray(stage: Stage, gate: Gate, locks: Transaction, shortly: Callable[[], None]) -> None:
    """The worker looks through its pending list while a claim is under way: that entry is known, its job is not handed back."""
    running = await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=3, **NO_HELP)
    assert running.consumer.worker is not None
    first = await _claim_that_hangs(stage, locks)
    await _reads_ahead(stage)
    running.consumer.worker._reader.doubt()  # as after an answer that was lost
    second = await stage.submit("gate")
    await _pending(stage, 2)
    shortly()
    await locks.script("ROLLBACK")
    await eventually(lambda: len(gate.running) == 2)
    gate.open.set()
    await eventually(stage.is_empty)
    for job_id in (first, second):
        row = await stage.row(job_id)
        assert (row["status"], row["attempts"]) == (Status.COMPLETED, 1)
        assert await stage.history(job_id) == []


async def test_what_a_broken_claim_leaves_is_found_at_once(stage: Stage, gate: Gate, locks: Transaction) -> None:
    """The connection breaks in the middle of a claim, while the next read is under way: the entry is not left to a later search."""
    await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=3, **NO_HELP)
    job_id = await _claim_that_hangs(stage, locks)
    with probe.watch("interrupted") as interruptions:
        await stage.database.fetch(f"SELECT pg_terminate_backend(pid) {HANGING}")
        await locks.script("ROLLBACK")
        await eventually(lambda: gate.running == [job_id], within=5)
    assert len(interruptions) == 1
    gate.open.set()
    await eventually(stage.is_empty)


async def test_large_payloads_are_not_all_held_at_once(stage: Stage, gate: Gate) -> None:
    """Ten jobs of 300 kB, fifty slots, and one MB for payloads: three run, and the others are there for another worker."""
    body = b'{"text":"%s"}' % (b"x" * 300_000)
    await stage.submit_many(10, "gate", payload=body)
    await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=50, payload_mb=1, **NO_HELP)
    await eventually(lambda: len(gate.running) == 3)
    await stage.start({"gate": gate.__call__}, roles=("worker",), concurrency=50, payload_mb=1, **NO_HELP)
    await eventually(lambda: len(gate.running) == 6)
    assert (await stage.broker.depths())["pending"] == 6
    gate.open.set()
    await eventually(stage.is_empty)
    assert len(gate.running) == 10


async def test_a_slot_that_comes_free_while_a_claim_breaks_off_does_not_hide_it(stage: Stage, gate: Gate, locks: Transaction) -> None:
    """All slots are taken when a claim breaks off; the next read must wait until its entry is nobody's, and then find it."""
    other = Gate()
    await stage.start({"gate": gate.__call__, "other": other.__call__}, roles=("worker",), concurrency=2, **NO_HELP)
    await stage.submit("other")
    await eventually(lambda: other.running)
    job_id = await _claim_that_hangs(stage, locks)
    with probe.on("interrupted", lambda _: other.open.set()):
        await stage.database.fetch(f"SELECT pg_terminate_backend(pid) {HANGING}")
        await locks.script("ROLLBACK")
        await eventually(lambda: gate.running == [job_id], within=5)
    gate.open.set()
    await eventually(stage.is_empty)


async def test_a_doubt_that_comes_up_during_a_look_is_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim breaks off while the worker looks through its pending list: that look cannot have seen it."""
    reader = Reader(stage.broker, stage.broker, Queues(QueueStore(stage.database), []), Portions({}, {}))

    async def interrupted(*_: object) -> list[Entry]:
        reader.doubt()
        return []

    monkeypatch.setattr(stage.broker, "own_pending", interrupted)
    await reader.look_for_strays("worker", 5.0, [])
    assert reader.in_doubt
    assert await reader.read("worker", 5, list, may_wait=False) == []
    assert reader.in_doubt
