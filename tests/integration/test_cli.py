"""The commands that talk to the API, against a real producer; workers are played by the test."""

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from shared.broker import Broker
from shared.database import Database
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import Lease
from shared.settings import Settings
from tests.conftest import free_port
from tests.support.command import Command
from tests.support.eventually import eventually
from tests.support.make import TYPES, in_state, open_lease, status_of
from tests.support.producer import Api, running


@pytest.fixture
def _log_elsewhere() -> Iterator[None]:
    """The producer of these tests lives in their process: what it logs is not what a command prints, and no write to a real file."""
    structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture
def millstream(
    _log_elsewhere: None, api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The command, told the producer's port."""
    del api
    monkeypatch.setenv("MILLSTREAM_PORT", str(settings.port))
    return Command(capsys)


@pytest.fixture
async def lease(leases: LeaseStore, settings: Settings) -> Lease:
    """A worker that lives."""
    return await open_lease(leases, settings)


async def test_submit_prints_the_id(millstream: Command, api: Api) -> None:
    """And nothing else, so that a script can use it; with --json what the API says."""
    done = await millstream("submit", "csv-generation", '{"a": 1}')
    job = await api.job(done.out.strip())
    assert (done.code, job["type"], job["payload"]) == (0, "csv.generate", {"a": 1})
    assert (await millstream("submit", "test.noop", "--json")).json["status"] == "PENDING"


async def test_submit_takes_every_option(millstream: Command, api: Api) -> None:
    """Each becomes the field of the same name."""
    words = "--queue reports --priority high --delay 60 --max-attempts 9 --timeout 5 --tag a --tag b --key k".split()  # noqa: SIM905
    done = await millstream("submit", "test.noop", *words, "--expires-in", "90", "--backoff", '{"kind": "fixed", "base": 7}')
    job = await api.job(done.out.strip())
    assert {name: job[name] for name in ("queue", "priority", "status", "max_attempts", "tags")} == {
        "queue": "reports",
        "priority": "high",
        "status": "SCHEDULED",
        "max_attempts": 9,
        "tags": ["a", "b"],
    }
    again = await millstream("submit", "test.noop", *words, "--expires-in", "90", "--backoff", '{"kind": "fixed", "base": 7}')
    assert again.out == done.out, "the key makes them one job"
    late = await millstream("submit", "test.noop", "--run-at", "2126-01-01T00:00:00Z")
    assert "within ten years" in late.sentence(1)


async def test_a_payload_from_file_or_stdin_goes_out_as_it_is(
    millstream: Command, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number with many digits keeps them all."""
    text = '{"n": 123456789012345678901234567890.123456789, "\u00fc": 1}'
    file = tmp_path / "payload.json"
    file.write_text(text, encoding="utf-8")
    from_file = await millstream("submit", "test.noop", f"@{file}")
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    from_stdin = await millstream("submit", "test.noop", "-")
    for done in (from_file, from_stdin):
        assert await database.fetch_value("SELECT payload FROM jobs WHERE id = $1", done.out.strip()) == text.encode()


async def test_what_cannot_be_sent_is_a_usage_error(millstream: Command, tmp_path: Path) -> None:
    """Exit code 2 and a sentence, before anybody is asked."""
    (tmp_path / "latin").write_bytes(b'{"a": "\xfc"}')
    bad: tuple[tuple[tuple[str, ...], str], ...] = (
        (("submit", "test.noop", "{"), "no JSON"),
        (("submit", "test.noop", "[" * 100_000), "no JSON"),
        (("submit", "test.noop", "@/no/such/file"), "/no/such/file cannot be read"),
        (("submit", "test.noop", f"@{tmp_path / 'latin'}"), "cannot be read"),
        (("submit", "test.noop", "--backoff", "x"), "no JSON"),
        (("get", "1", "--url", "ftp://x"), "no URL"),
        (("get", "1", "--url", "http://x:99999999"), "no URL"),
        (("get", "1", "--url", "http://"), "no URL"),
        (("get", "1", "--api-key", "a\nb"), "visible ASCII"),
        (("dlq", "purge"), "--all"),
        (("dlq", "replay", "--dry-run"), "--all"),
    )
    for words, said in bad:
        assert said in (await millstream(*words)).sentence(2), words
    for words in (
        ("submit",),
        ("dlq",),
        ("list", "--limit", "x"),
        ("submit", "t", "--wait", "-1"),
        ("nonsense",),
        ("top", "--interval", "0"),
    ):
        done = await millstream(*words)
        assert (done.code, "usage:" in done.err) == (2, True), words


async def test_what_the_api_refuses_is_a_failure(millstream: Command, api: Api) -> None:
    """Exit code 1 with its reasons, a line for each place."""
    job_id = await api.submitted()
    for words, said in (
        (("submit", "csv.generat"), "did you mean csv.generate"),
        (("submit", "email.send", '{"to": 1}'), "/payload"),
        (("submit", "test.noop", "[]"), "object"),
        (("get", new_id()), "does not exist"),
        (("get", "../workers"), "no job id"),
        (("why", "x"), "no job id"),
        (("retry", job_id), "only FAILED and CANCELLED"),
        (("list", "--status", "DONE"), "DONE"),
        (("list", "--limit", "1001"), "1 to 1000"),
        (("list", "--cursor", "x"), "cursor"),
        (("dlq", "purge", "nonsense"), "/ids/0"),
        (("dlq", "list", "--dead-after", "yesterday"), "2026-01-31T12:00:00Z"),
    ):
        assert said in (await millstream(*words)).sentence(1), words


async def test_nobody_answers(millstream: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 69 with what to do, whatever the command; a stranger on the port is told apart."""
    for words in (("get", "1"), ("submit", "test.noop"), ("stats",), ("top",), ("queues", "list")):
        said = (await millstream(*words, "--url", f"http://127.0.0.1:{free_port()}")).sentence(69)
        assert "millstream up" in said
    monkeypatch.setenv("MILLSTREAM_URL", f"http://127.0.0.1:{free_port()}")
    assert "cannot be reached" in (await millstream("types")).sentence(69)


async def test_a_job_is_shown_listed_moved(millstream: Command, api: Api, jobs: JobStore, database: Database, lease: Lease) -> None:
    """get, list with filters and pages, why, cancel, retry."""
    done_id, attempt = await in_state(jobs, database, lease, Status.COMPLETED)
    waiting = [await api.submitted(queue="reports", tags=["red"]) for _ in range(3)]
    shown = (await millstream("get", done_id)).out
    assert (f"id                {done_id}" in shown, "COMPLETED" in shown, f"attempts          {attempt}" in shown) == (True, True, True)
    assert (await millstream("get", done_id, "--json")).json["id"] == done_id
    first = await millstream("list", "--queue", "reports", "--status", "pending", "--tag", "red", "--limit", "2")
    assert [line.split()[0] for line in first.out.splitlines()] == ["ID", waiting[2], waiting[1], "more:"]
    second = await millstream("list", "--queue", "reports", "--cursor", first.out.split()[-1], "--json")
    assert [job["id"] for job in second.json["jobs"]] == [waiting[0]]
    assert (await millstream("list", "--type", "csv.generate")).out == "(no jobs)\n"
    assert (await millstream("why", waiting[1])).out == "waits for a free worker behind 1 job of the same stream\n"
    assert (await millstream("cancel", waiting[1])).out == f"{waiting[1]} is CANCELLED\n"
    assert (await millstream("retry", waiting[1])).out == f"{waiting[1]} is PENDING\n"
    busy, _ = await in_state(jobs, database, lease, Status.PROCESSING)
    assert (await millstream("cancel", busy)).out == f"{busy} is PROCESSING; its worker has been asked to stop\n"


async def test_dead_letters_are_listed_replayed_purged(millstream: Command, jobs: JobStore, database: Database, lease: Lease) -> None:
    """With filters, as a dry run, and for good."""
    dead = [(await in_state(jobs, database, lease, Status.FAILED))[0] for _ in range(3)]
    listed = await millstream("dlq", "list", "--reason", "attempts_spent", "--limit", "2")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["ID", dead[2], dead[1], "more:"]
    assert (await millstream("dlq", "purge", "--all", "--dry-run", "--limit", "2")).out == "\n".join(
        [*dead[:2], "2 would be purged; there are more\n"]
    )
    assert (await millstream("dlq", "replay", dead[0])).out == "1 of 1 replayed\n"
    assert await status_of(database, dead[0]) is Status.PENDING
    assert (await millstream("dlq", "purge", "--type", "test.noop", "--json")).json["purged"] == 2
    assert await database.fetch_value("SELECT count(*) FROM jobs") == 1
    assert (await millstream("dlq", "list")).out == "(no dead jobs)\n"


async def test_the_whole_is_shown(millstream: Command, api: Api, jobs: JobStore, database: Database, lease: Lease) -> None:
    """stats, workers, types, and top without a terminal."""
    await in_state(jobs, database, lease, Status.COMPLETED)
    await api.submitted(queue="reports")
    stats = (await millstream("stats")).out
    assert stats.splitlines()[0].split() == [*Status]
    assert stats.splitlines()[1].split() == ["0", "1", "0", "0", "1", "0", "0"]
    assert "reports" in stats
    assert (await millstream("stats", "--json")).json["workers"] == 1
    assert lease.worker in (await millstream("workers")).out
    types = {line.split()[0]: line for line in (await millstream("types")).out.splitlines()}
    assert types["csv.generate"].split()[1:3] == ["csv-generation", "0"]
    assert (await millstream("types", "--json")).json["types"]
    top = await millstream("top")
    assert (top.code, "\x1b" in top.out, lease.worker in top.out, "reports" in top.out) == (0, False, True, True)
    assert (await millstream("top", "--json")).json["stats"]["workers"] == 1


async def test_waiting_for_the_end(millstream: Command, jobs: JobStore, database: Database, lease: Lease) -> None:
    """0 when it was completed, 1 when it failed or has not ended in time; the job is shown either way."""

    async def waiting() -> list[str]:
        return [row[0] for row in await database.fetch("SELECT id::text FROM jobs WHERE status = 'PENDING'")]

    async def play(outcome: str) -> None:
        [claimed] = await jobs.claim(await eventually(waiting), lease, TYPES)
        if outcome == "COMPLETED":
            await jobs.succeed([(claimed.id, claimed.attempt, b'{"a": 1}')], lease.id)
        else:
            await jobs.bury([(claimed.id, claimed.attempt, "attempts_spent", "it failed", "")], lease.id)

    for outcome, code in (("COMPLETED", 0), ("FAILED", 1)):
        done, _ = await asyncio.gather(millstream("submit", "test.noop", "--wait", "--json"), play(outcome))
        assert (done.code, done.json["status"]) == (code, outcome)
    late = await millstream("submit", "test.noop", "--wait", "0.3")
    assert (late.code, "PENDING" in late.out, "still PENDING after 0.3 s" in late.err) == (1, True, True)


async def test_a_job_cannot_steer_the_terminal(millstream: Command, api: Api, jobs: JobStore, lease: Lease) -> None:
    """Control characters of an error or a tag are shown as blanks; a long cell is cut."""
    job_id = await api.submitted(tags=["\x1b[2J"])
    [claimed] = await jobs.claim([job_id], lease, TYPES)
    await jobs.bury([(job_id, claimed.attempt, "attempts_spent", "\x1b]0;title\x07\nx" + "y" * 100, "")], lease.id)
    for words in (("list",), ("get", job_id), ("dlq", "list"), ("why", job_id)):
        out = (await millstream(*words)).out
        assert not set(out) & {"\x1b", "\x07", "\r"}, words
        assert ("y" * 100 in out) is (words[0] in {"get", "why"}), words


async def test_a_key_is_sent(
    settings: Settings, broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an option or from the environment; without it the refusal says where it goes."""
    del broker
    millstream, guarded = Command(capsys), replace(settings, api_keys=("secret",))
    async with running(guarded, ready=False):
        url = ("--url", f"http://127.0.0.1:{guarded.port}/api/v1/")
        assert "MILLSTREAM_API_KEY" in (await millstream("workers", *url)).sentence(1)
        assert "not valid" in (await millstream("workers", *url, "--api-key", "wrong")).sentence(1)
        assert (await millstream("workers", *url, "--api-key", "secret")).code == 0
        monkeypatch.setenv("MILLSTREAM_API_KEY", "secret")
        assert json.loads((await millstream("workers", *url, "--json")).out) == {"workers": []}


async def test_queues_and_schedules(millstream: Command, api: Api) -> None:
    """Pause and resume; put, list, trigger, delete."""
    await api.submitted(queue="reports")
    assert (await millstream("queues", "pause", "reports")).out == "the queue reports is paused\n"
    rows = {line.split()[0]: line.split() for line in (await millstream("queues", "list")).out.splitlines()}
    assert (rows["reports"][1], rows["default"][1]) == ("yes", "no")
    assert (await millstream("queues", "resume", "reports")).code == 0
    definition = '{"cron": "0 3 * * *", "type": "test.noop"}'
    assert "next_runs" in (await millstream("schedules", "put", "nightly", definition)).out
    [_, line] = (await millstream("schedules", "list")).out.splitlines()
    assert line.split()[:7] == ["nightly", "cron", "0", "3", "*", "*", "*"]
    triggered = await millstream("schedules", "trigger", "nightly")
    assert (await api.job(triggered.out.strip()))["type"] == "test.noop"
    assert (await millstream("schedules", "pause", "nightly")).out == "the schedule nightly is paused\n"
    assert (await millstream("schedules", "delete", "nightly")).out == "the schedule nightly is deleted\n"
    assert "does not exist" in (await millstream("schedules", "get", "nightly")).sentence(1)
    assert "/cron" in (await millstream("schedules", "put", "n", '{"cron": "0 0 31 2 *", "type": "test.noop"}')).sentence(1)
