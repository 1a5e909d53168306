"""What the chaos suite reads from the stores, from the recorder and from its journal is what was there."""

from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.history import History
from chaos.journal import Journal
from chaos.letters import LetterWatch
from chaos.reading import read_database, read_journal, read_recording
from chaos.rest import left_over
from shared.broker import Broker
from shared.database import Database
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.models import Lease
from shared.settings import Settings
from tests.support.make import open_lease, running, submitted


@pytest.fixture
async def lease(leases: LeaseStore, settings: Settings) -> Lease:
    """One of a worker that lives."""
    return await open_lease(leases, settings)


@pytest.fixture
async def logged(database: Database) -> Database:
    """A database that logs every change of a row."""
    async with database.transaction() as transaction:
        await transaction.script((files("chaos") / "moves.sql").read_text(encoding="utf-8"))
    return database


async def test_every_move_is_logged_with_its_lease_and_when_it_is_due(logged: Database, jobs: JobStore, lease: Lease) -> None:
    """In order, from the insert to the end; the row, the attempt that failed and the lease are read, too."""
    job, attempt = await running(jobs, lease, payload=b'{"n": 7}')
    await jobs.retry([(job, attempt, 3600.0, "it failed", "")], lease.id)
    history = History()
    await read_database(history, logged)
    moves = history.moves[job]
    assert [(move.came_from, move.went_to, move.before, move.after) for move in moves] == [
        (None, "PENDING", None, 0),
        ("PENDING", "PROCESSING", 0, 1),
        ("PROCESSING", "RETRYING", 1, 1),
    ]
    assert [(move.lease, move.next_lease) for move in moves] == [(None, None), (None, lease.id), (lease.id, None)]
    assert moves[2].due is not None
    assert moves[0].due == moves[1].due
    assert moves[2].due == pytest.approx(moves[2].t + 3600, abs=5)
    assert (history.rows[job].status, history.rows[job].payload) == ("RETRYING", {"n": 7})
    assert [(tried.attempt, tried.outcome) for tried in history.tried[job]] == [(1, "failed")]
    assert history.leases == {lease.id: lease.worker}


async def test_a_result_that_is_overwritten_and_a_row_that_is_deleted_show(logged: Database, jobs: JobStore, lease: Lease) -> None:
    """By its digest; as a move to nowhere."""
    job, attempt = await running(jobs, lease)
    await jobs.succeed([(job, attempt, b'{"a": 1}')], lease.id)
    await logged.fetch("UPDATE jobs SET result = '{\"a\": 2}' WHERE id = $1", job)
    await logged.fetch("DELETE FROM jobs WHERE id = $1", job)
    history = History()
    await read_database(history, logged)
    done, again, gone = history.moves[job][-3:]
    assert done.digest
    assert again.digest not in (None, done.digest)
    assert (gone.came_from, gone.went_to) == ("COMPLETED", None)


def test_the_first_word_that_a_success_is_on_disk_counts(tmp_path: Path) -> None:
    """Who runs the job again and says so once more does not take it back."""
    with Journal(tmp_path / "recording") as recorder:
        for worker in ("machine:11:a", "machine:12:b"):
            recorder.note("start", job="a", n=1, worker=worker)
            recorder.note("effect", job="a", n=1, token=worker)
            recorder.note("end", job="a", n=1, worker=worker, how="returned")
            recorder.note("settled", jobs=["a"])
        recorder.note("misdeed", job="b", n=2, what="exit")
    history = History()
    read_recording(history, tmp_path / "recording")
    first, second = history.runs["a"]
    assert first.ended is not None
    assert first.ended <= history.settled["a"] <= second.began
    assert (first.how, history.effects["a", 1]) == ("returned", {"machine:11:a", "machine:12:b"})
    assert history.misdeeds["b", 2][1] == "exit"


async def letter(broker: Broker, job: str, attempts: int, reason: str = "attempts_spent") -> str:
    """Add one to the DLQ stream; return its place."""
    place: bytes = await broker.command("XADD", broker.keys.dlq, "*", "id", job, "attempts", attempts, "reason", reason)
    return place.decode()


async def test_a_second_letter_is_one_while_the_first_is_there(broker: Broker, tmp_path: Path) -> None:
    """Not after Redis has lost the first, nor of another death; each is told once."""
    with Journal(tmp_path / "journal") as journal:
        watch = LetterWatch(broker, journal)
        first = await letter(broker, "a", 4)
        await letter(broker, "b", 4)
        await watch.look()
        await letter(broker, "a", 8)
        await letter(broker, "b", 4)
        await broker.command("XDEL", broker.keys.dlq, first)
        await letter(broker, "a", 4)
        await watch.look()
        await watch.look()
    history = History()
    read_journal(history, tmp_path / "journal")
    assert [(job, twice) for _, job, twice in history.letters] == [("a", False), ("b", False), ("a", False), ("b", True), ("a", False)]


async def test_letters_are_seen_in_a_stream_that_was_made_anew_by_a_clock_that_was_set_back(broker: Broker, tmp_path: Path) -> None:
    """Their places are below those of before."""
    with Journal(tmp_path / "journal") as journal:
        watch = LetterWatch(broker, journal)
        await broker.command("XADD", broker.keys.dlq, "9999999999999-0", "id", "a", "attempts", 4, "reason", "attempts_spent")
        await watch.look()
        await broker.command("DEL", broker.keys.dlq)
        await watch.look()
        await letter(broker, "b", 4)
        await watch.look()
        await watch.look()
        await letter(broker, "b", 4)
        await watch.look()
    history = History()
    read_journal(history, tmp_path / "journal")
    assert [(job, twice) for _, job, twice in history.letters] == [("a", False), ("b", False), ("b", True)]


async def left(database: Database, broker: Broker) -> Any:
    """What the suite finds; no process of ours runs."""
    return await left_over(SimpleNamespace(database=database, broker=broker, alive=list))  # type: ignore[arg-type]


async def test_what_is_left_is_found_by_what_it_is_about(database: Database, broker: Broker, jobs: JobStore, settings: Settings) -> None:
    """Jobs, entries, the dead, and books that do not agree."""
    assert await left(database, broker) == {}
    job = await submitted(jobs)
    await broker.publish([("normal", job)])
    await letter(broker, "a", 4)
    await database.fetch("UPDATE job_counts SET n = n + 1")
    lease = await open_lease(LeaseStore(database), settings)
    found = await left(database, broker)
    assert found["jobs"] == ["1 jobs PENDING"]
    assert found["entries"] == ["1 entries in normal"]
    assert found["ghosts"] == [f"{lease.worker} is dead and has a lease"]
    assert found["books"][0] == "1 letters in the DLQ stream, 0 jobs FAILED"
    assert found["books"][1].startswith("the counters say ")
