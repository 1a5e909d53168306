"""The answer to a claim is lost, and the entry that would lead back to it is not the worker's any more: the job is found all the same."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import Raw

from consumer import unanswered
from consumer.triage import Triage
from consumer.unanswered import UnansweredClaims
from shared.database import Database, Transaction
from shared.dispatch_store import DispatchStore
from shared.errors import DatabaseUnavailableError
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import Entry, Lease, NewJob
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.gate import Gate

NO_HELP: dict[str, Any] = {"roles": ("worker",), "lease_seconds": 60.0}  # nobody else could repair it in time
HANGING = """SELECT pid FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND application_name = 'millstream claim' AND datname = current_database()"""

Theft = Callable[[Stage], Awaitable[None]]


async def taken_over(stage: Stage) -> None:
    """By the reaper: the entry has lain for a lease, or Redis says so because its clock was set."""
    _, entries = await stage.broker.take_over("normal", 0, "0-0")
    assert len(entries) == 1


async def lost(stage: Stage) -> None:
    """With all that Redis had."""
    assert await stage.broker.client.delete(stage.broker.keys.stream("normal")) == 1
    await stage.broker.ensure_groups()


async def _submit(stage: Stage, job_id: str) -> None:
    job = NewJob(id=job_id, type="gate", payload=Raw(b"{}"))
    await stage.jobs.submit([job])
    await stage.broker.publish([(job.lane, job.id)])


async def _runs_and_ends(stage: Stage, gate: Gate, job_id: str) -> None:
    """Once, in the attempt after the one that nobody heard of."""
    await eventually(lambda: gate.running == [job_id], within=10, what="the job runs")
    gate.open.set()
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert (row["attempts"], row["failures"], row["crashes"]) == (2, 0, 0)
    assert await stage.history(job_id) == ["handed_back"]
    await eventually(stage.is_empty)


@pytest.mark.parametrize("theft", [taken_over, lost])
async def test_a_claim_that_was_carried_out(stage: Stage, gate: Gate, theft: Theft) -> None:
    """PostgreSQL has committed it; the connection breaks before the worker hears of it."""
    wire, job_id = await stage.wire(stage.settings.database_url), new_id()
    wire.drop_reply(uuid.UUID(job_id).bytes)
    await stage.start({"gate": gate.__call__}, database_url=wire.url, **NO_HELP)
    await _submit(stage, job_id)
    await stage.reaches(job_id, Status.PROCESSING)
    await theft(stage)
    wire.reset()
    await _runs_and_ends(stage, gate, job_id)


async def test_a_claim_that_is_carried_out_later(stage: Stage, gate: Gate, locks: Transaction) -> None:
    """It waits for a lock when its connection breaks, and goes through when the worker has long looked elsewhere."""
    wire, job_id = await stage.wire(stage.settings.database_url), new_id()
    await stage.start({"gate": gate.__call__}, database_url=wire.url, **NO_HELP)
    await stage.jobs.submit([NewJob(id=job_id, type="gate", payload=Raw(b"{}"))])
    await locks.fetch("SELECT FROM jobs WHERE id = $1 FOR UPDATE", job_id)
    await stage.broker.publish([("normal", job_id)])
    await eventually(lambda: stage.database.fetch_value(HANGING), what="a claim that waits for the row")
    await taken_over(stage)
    wire.reset()
    await locks.script("ROLLBACK")
    await _runs_and_ends(stage, gate, job_id)


async def test_what_is_known_by_the_time_of_the_answer_is_left_alone(stage: Stage, dispatch: DispatchStore, leases: LeaseStore) -> None:
    """The worker has read the entry again and claimed the job, while PostgreSQL was asked what became of the first claim."""
    lease, job_id = await leases.open(stage.settings, ["worker"], ["gate"]), new_id()
    await _submit(stage, job_id)
    [entry] = await stage.broker.take(lease.worker, 1)
    assert len(await stage.jobs.claim([job_id], lease, ["gate"])) == 1
    claims = UnansweredClaims(Triage(stage.jobs, dispatch, stage.broker, 3))
    claims.note({job_id: entry})
    answers = iter([set(), {job_id}])
    await claims.look(lease, lambda: next(answers))
    assert (await stage.row(job_id))["status"] == Status.PROCESSING
    await claims.look(lease, set)
    assert (await stage.row(job_id))["status"] == Status.PENDING
    assert await stage.history(job_id) == ["handed_back"]
    [again] = await stage.broker.take(lease.worker, 2)
    await stage.broker.ack([again])
    assert again.job_id == job_id


async def test_it_is_asked_until_postgresql_has_had_its_time(
    stage: Stage, dispatch: DispatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim may wait in a server that does not answer: the time begins with the first answer."""
    monkeypatch.setattr(unanswered, "LATE_SECONDS", -1.0)
    wire, job_id = await stage.wire(stage.settings.database_url), new_id()
    database = Database(wire.url, "test")
    claims = UnansweredClaims(Triage(JobStore(database), dispatch, stage.broker, 3))
    claims.note({job_id: Entry("normal", "0-1", job_id)})
    wire.refuse()
    with pytest.raises(DatabaseUnavailableError):
        await claims.look(Lease(new_id(), "a worker"), set)
    assert [*claims._asked] == [job_id]
    wire.heal()
    await claims.look(Lease(new_id(), "a worker"), set)
    assert not claims._asked
    await database.close()
