"""Many dead letters at a time: look, replay, purge."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw

from consumer.reconciler import Reconciler
from consumer.triage import Triage
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.dlq_store import DlqStore
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import Lease, NewJob
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.make import TYPES, open_lease, status_of
from tests.support.producer import Api


class Graveyard:
    """Makes dead jobs whose letters are in PostgreSQL and in the DLQ stream."""

    def __init__(self, jobs: JobStore, dispatch: DispatchStore, broker: Broker, lease: Lease) -> None:
        self.jobs, self.broker, self.lease = jobs, broker, lease
        self.triage = Triage(jobs, dispatch, broker, 3)

    async def dead(self, count: int = 1, reason: str = "attempts_spent", *, placed: bool = True, **fields: Any) -> list[str]:
        """Return the ids of so many dead jobs, oldest first. `placed`: PostgreSQL knows where their letters are."""
        new = [NewJob(**{"id": new_id(), "type": "test.noop", "payload": Raw(b"{}")} | fields) for _ in range(count)]
        await self.jobs.submit(new)
        claimed = await self.jobs.claim([job.id for job in new], self.lease, [*TYPES, "csv.generate"])
        letters = await self.jobs.bury([(job.id, job.attempt, reason, "it failed", "") for job in claimed], self.lease.id)
        pairs = [(letter, None) for letter in letters.values()]
        await (self.triage.bury(pairs) if placed else self.broker.bury(pairs))
        return sorted(letters)

    async def in_stream(self) -> list[str]:
        """Ids of the jobs that have a letter in the DLQ stream."""
        return sorted([letter.job_id async for letter in self.broker.letters.all()])


@pytest.fixture
async def graveyard(jobs: JobStore, dispatch: DispatchStore, leases: LeaseStore, broker: Broker, settings: Settings) -> Graveyard:
    """Nobody is dead yet."""
    return Graveyard(jobs, dispatch, broker, await open_lease(leases, settings))


async def _published(broker: Broker, ids: Sequence[str]) -> bool:
    entries = await broker.client.xrange(broker.keys.stream("normal"))
    return sorted(fields[b"id"].decode() for _, fields in entries) == sorted(ids)


async def test_replay_runs_the_matching_ones_again(api: Api, graveyard: Graveyard, database: Database, broker: Broker) -> None:
    """Their budgets are full, their letters gone, their attempts go on; others stay dead. Once more finds nothing."""
    crashed = await graveyard.dead(3, "crashed")
    unnoted = await graveyard.dead(1, "crashed", placed=False)
    stays = await graveyard.dead(2)
    answer = await api.post("/dlq/replay", {"reason": "crashed"})
    assert (answer.status, answer.json) == (
        200,
        {"matched": 4, "replayed": 4, "ids": [*crashed, *unnoted], "more": False, "dry_run": False},
    )
    job = await api.job(crashed[0])
    assert (job["status"], job["failures"], job["attempts"], job["reason"]) == ("PENDING", 0, 1, None)
    assert await graveyard.in_stream() == stays
    await eventually(lambda: _published(broker, [*crashed, *unnoted]))
    assert {await status_of(database, job_id) for job_id in stays} == {Status.FAILED}
    assert (await api.post("/dlq/replay", {"reason": "crashed"})).json["matched"] == 0


async def test_purge_deletes_the_matching_ones(
    api: Api, graveyard: Graveyard, database: Database, dispatch: DispatchStore, leases: LeaseStore, broker: Broker
) -> None:
    """Row, history and letter are gone and the counts follow; no round of a reconciler brings them back."""
    doomed = await graveyard.dead(2, "crashed") + await graveyard.dead(1, "crashed", placed=False)
    stays = await graveyard.dead(1)
    answer = (await api.post("/dlq/purge", {"reason": "crashed"})).json
    assert answer == {"matched": 3, "purged": 3, "ids": doomed, "more": False, "dry_run": False}
    await broker.client.delete(broker.keys.epoch)
    await Reconciler(dispatch, leases, broker, graveyard.triage).step()
    for job_id in doomed:
        (await api.get(f"/jobs/{job_id}")).problem(404)
    assert await graveyard.in_stream() == stays
    assert await database.fetch_value("SELECT count(*) FROM attempts WHERE job_id <> $1", stays[0]) == 0
    assert (await api.get("/jobs/stats")).json["by_status"] == dict.fromkeys(Status, 0) | {"FAILED": 1}
    assert (await api.post("/dlq/purge", {"reason": "crashed"})).json["purged"] == 0


async def test_a_dry_run_changes_nothing(api: Api, graveyard: Graveyard) -> None:
    """It says what would happen."""
    dead = await graveyard.dead(3)
    for action, word in (("replay", "replayed"), ("purge", "purged")):
        answer = (await api.post(f"/dlq/{action}", {"dry_run": True, "limit": 2})).json
        assert answer == {"matched": 2, word: 0, "ids": dead[:2], "more": True, "dry_run": True}
    assert [job["id"] for job in (await api.get("/jobs/dead")).json["jobs"]] == dead[::-1]
    assert await graveyard.in_stream() == dead


async def test_each_filter_finds_its_letters(api: Api, graveyard: Graveyard) -> None:
    """The same in the bodies of replay and purge and in the query of the list; an empty body means all."""
    [old] = await graveyard.dead()
    [special] = await graveyard.dead(1, "timeout", type="csv.generate", queue="reports", priority="high", tags=["red"])
    died_at = (await api.job(special))["finished_at"]
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [old, special]),
        ({"type": "csv.generate"}, [special]),
        ({"queue": "reports"}, [special]),
        ({"priority": "normal"}, [old]),
        ({"tag": "red"}, [special]),
        ({"reason": "timeout"}, [special]),
        ({"reason": "timeou"}, []),
        ({"dead_after": died_at}, [special]),
        ({"dead_before": died_at}, [old]),
        ({"dead_before": "9999-12-31T23:59:59Z"}, [old, special]),
        ({"type": "csv.generate", "queue": "reports", "priority": "high", "tag": "red", "reason": "timeout"}, [special]),
        ({"type": "test.noop", "reason": "timeout"}, []),
    ]
    for wanted, expected in cases:
        assert (await api.post("/dlq/replay", {**wanted, "dry_run": True})).json["ids"] == expected, wanted
        assert [job["id"] for job in (await api.get("/jobs/dead", params=wanted)).json["jobs"]] == expected[::-1], wanted
    for ids in ([special], [special.upper(), new_id()]):
        assert (await api.post("/dlq/purge", {"ids": ids, "dry_run": True})).json["ids"] == [special]


async def test_bad_filters_are_refused(api: Api, graveyard: Graveyard) -> None:
    """422 with a pointer, from both sides of each limit; nothing is touched by them."""
    [dead] = await graveyard.dead()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"color": "red"}, "/color"),
        ({"status": "FAILED"}, "/status"),
        ({"limit": 0}, "/limit"),
        ({"limit": 10_001}, "/limit"),
        ({"limit": "5"}, "/limit"),
        ({"dry_run": "yes"}, "/dry_run"),
        ({"ids": []}, "/ids"),
        ({"ids": [dead, "nonsense"]}, "/ids/1"),
        ({"ids": [dead] * 10_001}, "/ids"),
        ({"type": ""}, "/type"),
        ({"type": "\x00"}, "/type"),
        ({"type": "x" * 201}, "/type"),
        ({"reason": 1}, "/reason"),
        ({"priority": "urgent"}, "/priority"),
        ({"dead_before": "yesterday"}, "/dead_before"),
        ({"dead_before": "2026-01-01T00:00:00"}, "/dead_before"),
        ({"dead_before": "0001-01-01T00:00:00+14:00"}, ""),
    ]
    for action in ("replay", "purge"):
        for body, pointer in bad:
            assert (await api.post(f"/dlq/{action}", body)).pointers() == [pointer], body
        (await api.post(f"/dlq/{action}", [])).problem(422)
        (await api.post(f"/dlq/{action}", b"{")).problem(400)
        (await api.post(f"/dlq/{action}", b'{"type": "\xff"}')).problem(400)
        (await api.call("POST", f"/dlq/{action}")).problem(415)
        assert (await api.post(f"/dlq/{action}", {"limit": 10_000, "ids": [dead] * 10_000, "dry_run": True})).json["matched"] == 1
        assert (await api.post(f"/dlq/{action}", {"type": "x" * 200, "limit": 1})).json["matched"] == 0


async def test_replay_and_purge_at_the_same_time(api: Api, graveyard: Graveyard, database: Database) -> None:
    """Each letter is replayed or purged, never both, never twice."""
    dead = await graveyard.dead(600)
    answers = await asyncio.gather(*(api.post(f"/dlq/{action}", {}) for action in ("replay", "purge") * 4))
    assert {answer.status for answer in answers} == {200}
    replayed = sum(answer.json.get("replayed", 0) for answer in answers)
    purged = sum(answer.json.get("purged", 0) for answer in answers)
    assert replayed + purged == len(dead)
    rows = await database.fetch("SELECT status::text, count(*) FROM jobs GROUP BY 1")
    assert [tuple(row) for row in rows] == ([("PENDING", replayed)] if replayed else [])
    assert await graveyard.in_stream() == []


async def test_a_job_that_was_cancelled_meanwhile_is_not_resurrected(graveyard: Graveyard, database: Database) -> None:
    """Between the look and the replay somebody replays the job and cancels it: it stays cancelled."""
    dead = await graveyard.dead(2)
    store = DlqStore(database)
    await graveyard.jobs.replay(dead[:1])
    await graveyard.jobs.cancel(dead[:1])
    assert [job.id for job in await store.replay(dead)] == dead[1:]
    assert await status_of(database, dead[0]) is Status.CANCELLED


async def test_without_redis(api: Api, graveyard: Graveyard, broker: Broker, database: Database) -> None:
    """Jobs are replayed all the same; a purge is refused as a whole, for nobody would ever remove the letters."""
    dead = await graveyard.dead(2)
    await broker.client.delete(broker.keys.dlq)
    await broker.client.set(broker.keys.dlq, "not a stream")  # every command on it fails, as with a Redis that refuses
    assert (await api.post("/dlq/purge", {})).problem(503)
    assert {await status_of(database, job_id) for job_id in dead} == {Status.FAILED}
    assert (await api.post("/dlq/replay", {})).json["replayed"] == 2
    assert {await status_of(database, job_id) for job_id in dead} == {Status.PENDING}
