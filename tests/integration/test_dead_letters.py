"""The DLQ stream is a copy of the table dead_letters: it can always be rebuilt, and never holds a letter twice."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from consumer import lost_letters
from consumer.letter_audit import ROUNDS
from consumer.reconciler import Reconciler
from consumer.triage import Triage
from shared import dispatch_store, letter_stream, probe
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.job_store import JobStore
from shared.jobs import Context
from shared.lease_store import LeaseStore
from shared.letter_stream import LetterStream
from shared.lifecycle import Status
from shared.models import Lease, Letter, Placed
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.make import open_lease, running


class Desk:
    """Makes dead letters, and rounds of a reconciler."""

    def __init__(self, jobs: JobStore, dispatch: DispatchStore, leases: LeaseStore, broker: Broker, lease: Lease) -> None:
        self.jobs, self.dispatch, self.leases, self.broker, self.lease = jobs, dispatch, leases, broker, lease
        self.triage = Triage(jobs, dispatch, broker, 3)
        self.reconciler = Reconciler(dispatch, leases, broker, self.triage)

    async def dead(self, count: int) -> dict[str, Letter]:
        """Bury so many jobs in PostgreSQL; Redis knows nothing of them."""
        fences = [await running(self.jobs, self.lease) for _ in range(count)]
        return await self.jobs.bury(
            [(job_id, attempt, "attempts_spent", f"{job_id} failed", "") for job_id, attempt in fences], self.lease.id
        )

    async def in_stream(self) -> list[tuple[str, str]]:
        """Return (job id, place) of every letter in the DLQ stream."""
        return [(letter.job_id, letter.place) async for letter in self.broker.letters.all()]


@pytest.fixture
async def desk(jobs: JobStore, dispatch: DispatchStore, leases: LeaseStore, broker: Broker, settings: Settings) -> Desk:
    """A desk on an empty Redis that has had its first round."""
    desk = Desk(jobs, dispatch, leases, broker, await open_lease(leases, settings))
    await desk.reconciler.step()
    return desk


async def table(database: Database) -> list[tuple[str, str]]:
    """Return (job id, place) of every letter as PostgreSQL has noted it."""
    return [tuple(row) for row in await database.fetch("SELECT job_id::text, entry_id FROM dead_letters")]


async def test_a_lost_dlq_is_rebuilt_equal_to_the_table(desk: Desk, database: Database) -> None:
    """More than a page of them: each letter once, with all its fields, and each place noted."""
    letters = await desk.dead(30)
    await database.fetch(
        "WITH many AS (INSERT INTO jobs (id, type, status, finished_at, attempts, reason, error)"
        " SELECT gen_random_uuid(), 'test.noop', 'FAILED', now(), 4, 'attempts_spent', 'it failed' FROM generate_series(1, 1500) RETURNING"
        " id) INSERT INTO dead_letters (job_id) SELECT id FROM many"
    )
    await desk.broker.client.delete(*desk.broker.keys.all())
    await desk.reconciler.step()
    assert sorted(await desk.in_stream()) == sorted(await table(database))
    assert len(await desk.in_stream()) == 1530
    for _, fields in await desk.broker.client.xrange(desk.broker.keys.dlq):
        found = {name.decode(): value.decode() for name, value in fields.items()}
        if letter := letters.get(found["id"]):
            assert found["error"] == letter.error
            assert found["when"] == letter.dead_at.isoformat()
            assert (found["type"], found["reason"], found["attempts"]) == ("test.noop", "attempts_spent", "1")


async def test_a_rebuild_reads_no_letter_again_and_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pages there are: what the stream holds is read once, and so is what each page adds."""
    monkeypatch.setattr(lost_letters, "PAGE", 5)
    monkeypatch.setattr(dispatch_store, "PAGE", 5)
    letters = await desk.dead(42)
    read: list[str] = []

    async def dead(after: str = "-") -> AsyncIterator[Placed]:
        async for letter in LetterStream.all(desk.broker.letters, after):
            read.append(letter.place)
            yield letter

    monkeypatch.setattr(desk.broker.letters, "all", dead)
    await desk.broker.client.delete(*desk.broker.keys.all())
    await desk.reconciler.step()
    monkeypatch.undo()
    assert sorted(job_id for job_id, _ in await desk.in_stream()) == sorted(letters)
    assert len(read) == len(set(read)) == 40, "all but the last page, which nobody looks for"


async def test_a_letter_without_a_place_is_looked_for_among_the_newest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay does not read a stream of a hundred thousand letters: what is not noted yet was added a moment ago."""
    monkeypatch.setattr(letter_stream, "CHUNK", 3)
    monkeypatch.setattr(letter_stream, "NEWEST_CHUNKS", 2)
    letters = await desk.dead(10)
    places = {letter.job_id: letter.place for letter in await desk.broker.bury([(letter, None) for letter in letters.values()])}
    oldest_first = sorted(places, key=lambda job_id: tuple(map(int, places[job_id].split("-"))))
    for job_ids, found in ((oldest_first[-1:], oldest_first[-1:]), (oldest_first[3:6], oldest_first[4:6]), (oldest_first[:1], [])):
        assert sorted(await desk.broker.letters.newest_places(set(job_ids))) == sorted(places[job_id] for job_id in found)


async def test_a_letter_that_was_never_published_is(desk: Desk, database: Database) -> None:
    """A worker died between the row and Redis: after a margin the letter is added, once."""
    letters = await desk.dead(3)
    await desk.reconciler.step()
    assert await desk.in_stream() == [], "its publish may still be under way"
    await database.fetch("UPDATE dead_letters SET dead_at = now() - interval '10 seconds'")
    for _ in range(3):
        await desk.reconciler.step()
    assert sorted(job_id for job_id, _ in await desk.in_stream()) == sorted(letters)
    assert sorted(await desk.in_stream()) == sorted(await table(database))


async def test_a_letter_that_was_added_but_not_noted_is_not_added_twice(desk: Desk, database: Database) -> None:
    """A worker died between Redis and the note: the letter is found in the stream, and its place is noted."""
    letters = await desk.dead(3)
    places = {letter.job_id: letter.place for letter in await desk.broker.bury([(letter, None) for letter in letters.values()])}
    await database.fetch("UPDATE dead_letters SET dead_at = now() - interval '10 seconds'")
    await desk.reconciler.step()
    assert sorted(await desk.in_stream()) == sorted(places.items())
    assert sorted(await table(database)) == sorted(places.items())


async def test_a_lost_epoch_alone_adds_no_letter_twice(desk: Desk, database: Database) -> None:
    """The stream outlived the epoch: what is there is found again."""
    await desk.dead(3)
    await desk.broker.client.delete(desk.broker.keys.epoch)
    await desk.reconciler.step()
    before = await desk.in_stream()
    await desk.broker.client.delete(desk.broker.keys.epoch)
    await desk.reconciler.step()
    assert await desk.in_stream() == before
    assert sorted(await table(database)) == sorted(before)


async def test_a_second_death_of_one_job_is_a_letter_of_its_own(desk: Desk, database: Database) -> None:
    """Replayed and dead again: its old letter is not taken for the new one, which has more attempts."""
    letters = await desk.dead(1)
    [job_id] = letters
    await desk.broker.bury([(letter, None) for letter in letters.values()])
    await desk.jobs.replay([job_id])
    [again] = await desk.jobs.claim([job_id], desk.lease, ["test.noop"])
    await desk.jobs.bury([(job_id, again.attempt, "attempts_spent", "it failed", "")], desk.lease.id)
    await database.fetch("UPDATE dead_letters SET dead_at = now() - interval '10 seconds'")
    await desk.reconciler.step()
    assert [name for name, _ in await desk.in_stream()] == [job_id, job_id]
    [(_, place)] = await table(database)
    assert place == (await desk.in_stream())[1][1]


async def test_a_worker_that_cannot_reach_redis_leaves_its_letter_to_the_reconciler(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis goes away between the row and the letter: the job is FAILED all the same, and the letter follows."""
    monkeypatch.setattr("consumer.reconciler.MARGIN_SECONDS", 0.3)
    wire = await stage.wire(stage.settings.redis_url)

    async def fail(_: Context, __: Any) -> None:
        wire.refuse()
        raise RuntimeError("it failed")

    await stage.start({"fail": fail}, redis_url=wire.url, lease_seconds=1.0, heartbeat_seconds=0.2)
    with probe.watch("settled") as settled:
        row = await stage.reaches(await stage.submit("fail", max_attempts=1), Status.FAILED)
        await eventually(lambda: settled)
    assert await stage.letters() == []
    wire.heal()
    [letter] = await eventually(stage.letters)
    assert letter["id"] == row["id"]
    await eventually(stage.is_empty)


async def test_who_adds_a_letter_late_takes_it_back(desk: Desk, database: Database) -> None:
    """A worker that adds its letter after a reconciler did, or after the job was replayed, leaves no second one."""
    letters = await desk.dead(2)
    replayed, _ = letters
    await desk.broker.client.delete(desk.broker.keys.epoch)
    await desk.reconciler.step()
    before = await desk.in_stream()
    await desk.triage.bury([(letter, None) for letter in letters.values()])
    assert await desk.in_stream() == before == await table(database)
    [job] = await desk.jobs.replay([replayed])
    await desk.broker.letters.forget([job.entry_id or ""])
    await desk.triage.bury([(letters[replayed], None)])
    assert await desk.in_stream() == await table(database)


async def test_a_new_letter_does_not_hide_that_the_others_are_lost(desk: Desk, database: Database) -> None:
    """A worker buries a job in the moment after the DLQ stream was deleted, before any reconciler saw it: all letters come back."""
    old = await desk.dead(3)
    await desk.triage.bury([(letter, None) for letter in old.values()])
    await desk.broker.client.delete(desk.broker.keys.dlq)
    new = await desk.dead(1)
    await desk.triage.bury([(letter, None) for letter in new.values()])
    await _comes_back(desk, database, {*old, *new})


async def test_a_stream_that_goes_in_the_last_moment_before_an_add_is_noticed(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted after every look at it and just before the script runs."""
    old = await desk.dead(3)
    await desk.triage.bury([(letter, None) for letter in old.values()])
    bury = desk.broker.bury

    async def too_late(letters: Any) -> Any:
        await desk.broker.client.delete(desk.broker.keys.dlq)
        return await bury(letters)

    new = await desk.dead(1)
    with monkeypatch.context() as patch:
        patch.setattr(desk.broker, "bury", too_late)
        await desk.triage.bury([(letter, None) for letter in new.values()])
    await _comes_back(desk, database, {*old, *new})


async def test_a_stream_that_goes_between_an_add_and_its_note_is_noticed(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One adds its letters, the stream is deleted, another makes it anew; only then the first notes places that are gone."""
    first, second = await desk.dead(3), await desk.dead(1)
    place_letters = desk.dispatch.place_letters

    async def interrupted(placed: Sequence[Placed]) -> set[str]:
        if {letter.job_id for letter in placed} == first.keys():
            await desk.broker.client.delete(desk.broker.keys.dlq)
            await desk.triage.bury([(letter, None) for letter in second.values()])
        return await place_letters(placed)

    with monkeypatch.context() as patch:
        patch.setattr(desk.dispatch, "place_letters", interrupted)
        await desk.triage.bury([(letter, None) for letter in first.values()])
    await _comes_back(desk, database, {*first, *second})


async def test_another_letter_at_the_very_same_place_does_not_hide_the_loss(
    desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places are milliseconds: what is lost and made anew within one begins at the same place."""
    first, second = await desk.dead(1), await desk.dead(1)
    place_letters = desk.dispatch.place_letters

    async def interrupted(placed: Sequence[Placed]) -> set[str]:
        taken, (other,) = placed[0].place, second
        await desk.broker.client.delete(desk.broker.keys.dlq)
        await desk.broker.client.xadd(desk.broker.keys.dlq, {"id": other, "attempts": 1}, id=taken)
        await place_letters([Placed(taken, other, 1, "attempts_spent")])
        return await place_letters(placed)

    with monkeypatch.context() as patch:
        patch.setattr(desk.dispatch, "place_letters", interrupted)
        await desk.triage.bury([(letter, None) for letter in first.values()])
    await _comes_back(desk, database, {*first, *second})


async def _comes_back(desk: Desk, database: Database, job_ids: set[str]) -> None:
    """Some rounds of the reconciler later each letter is in the stream once, and where the table says."""
    await database.fetch("UPDATE dead_letters SET dead_at = dead_at - interval '1 minute'")
    for _ in range(ROUNDS):
        await desk.reconciler.step()
    assert sorted(job_id for job_id, _ in await desk.in_stream()) == sorted(job_ids)
    assert sorted(await desk.in_stream()) == sorted(await table(database))
