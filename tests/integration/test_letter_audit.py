"""The DLQ stream equals the table again, however it came to hold fewer letters, or more."""

import pytest

from consumer import letter_audit, lost_letters
from consumer.letter_audit import ROUNDS
from consumer.reconciler import Reconciler
from shared import broker as broker_module
from shared import dispatch_store
from shared.database import Database
from shared.models import UNKNOWN_JOB, Entry
from tests.integration.test_dead_letters import Desk, desk, table

__all__ = ["desk"]


async def buried(desk: Desk, count: int) -> list[str]:
    """Bury so many jobs; their letters are in the stream, and noted."""
    letters = await desk.dead(count)
    await desk.triage.bury([(letter, None) for letter in letters.values()])
    return list(letters)


async def rounds(desk: Desk, count: int = ROUNDS) -> None:
    """So many passes of the reconciler."""
    for _ in range(count):
        await desk.reconciler.step()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each comparison."""
    compared: list[int] = []
    make_equal = letter_audit.LetterAudit._make_equal

    async def noted(self: letter_audit.LetterAudit) -> None:
        compared.append(1)
        await make_equal(self)

    monkeypatch.setattr(letter_audit.LetterAudit, "_make_equal", noted)
    return compared


async def test_letters_that_are_lost_come_back(desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, at a new place that the table knows; the others stay where they are. Over several pages."""
    monkeypatch.setattr(lost_letters, "PAGE", 3)
    monkeypatch.setattr(dispatch_store, "PAGE", 3)
    await buried(desk, 8)
    before = await desk.in_stream()
    lost = [place for _, place in before[::2]]
    await desk.broker.letters.forget(lost)
    await rounds(desk)
    after = await desk.in_stream()
    assert sorted(job_id for job_id, _ in after) == sorted(job_id for job_id, _ in before)
    assert set(before[1::2]) <= set(after)
    assert sorted(after) == sorted(await table(database))


async def test_letters_of_jobs_that_live_again_go(desk: Desk, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis came back with the letters of jobs that were replayed, or deleted, since; a second letter of one job goes, too."""
    monkeypatch.setattr(broker_module, "CHUNK", 2)
    monkeypatch.setattr(letter_audit, "PAGE", 2)
    replayed, deleted, twice, stays = await buried(desk, 4)
    await database.fetch("UPDATE jobs SET status = 'PENDING', finished_at = NULL WHERE id = $1", replayed)
    await database.fetch("DELETE FROM dead_letters WHERE job_id = $1", replayed)
    await database.fetch("DELETE FROM jobs WHERE id = $1", deleted)
    await desk.broker.client.xadd(desk.broker.keys.dlq, {"id": twice, "attempts": 1, "reason": "attempts_spent"})
    await rounds(desk)
    assert sorted(job_id for job_id, _ in await desk.in_stream()) == sorted([twice, stays])
    assert sorted(await desk.in_stream()) == sorted(await table(database))


async def test_letters_of_entries_that_nobody_knows_stay(desk: Desk) -> None:
    """They have no row, and are all that tells of the entry."""
    [kept] = await buried(desk, 1)
    normal = desk.broker.keys.stream("normal")
    place = (await desk.broker.client.xadd(normal, {"id": "no id at all"})).decode()
    await desk.triage.sort_out([Entry("normal", place, None)])
    await desk.broker.client.xadd(desk.broker.keys.dlq, {"id": kept, "attempts": 1, "reason": "attempts_spent"})
    await rounds(desk)
    assert [letter.reason async for letter in desk.broker.letters.all()] == ["attempts_spent", UNKNOWN_JOB]


async def test_nothing_is_compared_while_the_counts_agree(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor when they differ for some rounds only, as they do while letters come and go; known strangers are no difference."""
    compared = counted(monkeypatch)
    await buried(desk, 2)
    await rounds(desk, 2 * ROUNDS)
    stray = await desk.broker.client.xadd(desk.broker.keys.dlq, {"id": "?", "reason": UNKNOWN_JOB})
    await rounds(desk, ROUNDS - 1)
    await desk.broker.client.xdel(desk.broker.keys.dlq, stray)
    await rounds(desk, ROUNDS)
    assert compared == []
    await desk.broker.client.xadd(desk.broker.keys.dlq, {"id": "?", "reason": UNKNOWN_JOB})
    await rounds(desk, 3 * ROUNDS)
    assert compared == [1]


async def test_as_many_missing_as_too_many_are_noticed_when_the_server_is_another(desk: Desk, database: Database) -> None:
    """Files of some time ago: one letter was not there yet, one was there still. The counts agree."""
    old, new = await buried(desk, 2)
    await rounds(desk, 1)
    await database.fetch("UPDATE jobs SET status = 'PENDING', finished_at = NULL WHERE id = $1", old)
    await database.fetch("DELETE FROM dead_letters WHERE job_id = $1", old)
    await desk.broker.letters.forget([place for job_id, place in await desk.in_stream() if job_id == new])
    await rounds(desk, 2 * ROUNDS)
    assert [job_id for job_id, _ in await desk.in_stream()] == [old]
    await database.fetch("UPDATE epochs SET run_id = 'an earlier life'")
    await Reconciler(desk.dispatch, desk.leases, desk.broker, desk.triage).step()
    assert [job_id for job_id, _ in await desk.in_stream()] == [new]
    assert await desk.in_stream() == await table(database)
    assert await desk.dispatch.run_id(desk.broker.keys.base) == await desk.broker.run_id()


async def test_a_letter_of_an_earlier_death_is_not_taken_for_one_of_this(desk: Desk, database: Database) -> None:
    """Who was held up between an add and its note comes back when the job was replayed and has died again."""
    [letter] = (await desk.dead(1)).values()
    early = await desk.broker.bury([(letter, None)])
    await database.fetch("UPDATE jobs SET attempts = attempts + 1 WHERE id = $1", letter.id)
    await desk.triage.bury([(letter._replace(attempts=letter.attempts + 1), None)])
    assert await desk.dispatch.place_letters(early) == set()
    [(_, place)] = await table(database)
    assert place != early[0].place


async def test_what_is_no_letter_at_all_is_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody wrote to the stream by hand: it is counted once, not compared again and again."""
    compared = counted(monkeypatch)
    await buried(desk, 1)
    await desk.broker.client.xadd(desk.broker.keys.dlq, {"id": "no id"})
    await rounds(desk, 3 * ROUNDS)
    assert compared == [1]
    assert await desk.broker.letters.count() == 2
