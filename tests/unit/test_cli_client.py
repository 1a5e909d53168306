"""The client of the commands, and commands for what other producers answer: a scripted server says what a real one says seldom."""

import socket
from typing import Any

import pytest

from cli.client import Client
from shared.errors import UnavailableError
from tests.support.command import Command
from tests.support.scripted_api import Reply, ScriptedApi, scripted

JOB: dict[str, Any] = {"id": "1", "status": "PENDING"}
ENDED: dict[str, Any] = {"id": "1", "status": "COMPLETED"}


@pytest.fixture
def millstream(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command."""
    return Command(capsys)


async def answers(millstream: Command, *words: str, replies: tuple[Reply, ...]) -> tuple[Any, ScriptedApi]:
    """Run a command against these replies."""
    with scripted(*replies) as api:
        return await millstream(*words, "--url", api.url), api


async def test_waiting_leaves_the_waiting_to_the_api(millstream: Command) -> None:
    """One that applies the preference is asked again at once; the rest of the time is what it is asked for."""
    waited = (("Preference-Applied", "wait=60"),)
    replies = (Reply(JOB, 202), Reply(JOB, headers=waited), Reply(JOB, headers=waited), Reply(ENDED))
    done, api = await answers(millstream, "submit", "t", "--wait", replies=replies)
    assert (done.code, len(api.seen)) == (0, 4)
    assert [seen.headers["Prefer"] for seen in api.seen[1:]] == ["wait=60"] * 3
    done, api = await answers(millstream, "submit", "t", "--wait", "7", replies=(Reply(JOB, 202), Reply(ENDED)))
    assert api.seen[1].headers["Prefer"] == "wait=7"


async def test_schedules_come_in_pages(millstream: Command) -> None:
    """All of them are listed, with their last runs."""
    ran = SCHEDULE | {"name": "hourly", "last_run": {"tick": "2026-01-31T12:00:00Z", "job_id": "1", "status": "COMPLETED"}}
    pages = Reply({"schedules": [SCHEDULE], "next_cursor": "nightly"}), Reply({"schedules": [ran], "next_cursor": None})
    done, api = await answers(millstream, "schedules", "list", replies=pages)
    assert [line.split()[0] for line in done.out.splitlines()] == ["NAME", "nightly", "hourly"]
    assert done.out.rstrip().endswith("COMPLETED")
    assert [seen.line for seen in api.seen] == ["GET /schedules", "GET /schedules?cursor=nightly"]


async def test_waiting_outlasts_a_short_absence(millstream: Command) -> None:
    """The job is accepted: a restart of the API in between is not its failure. Within the time that was given."""
    away = Reply({"detail": "draining"}, 503)
    done, _ = await answers(millstream, "submit", "t", "--wait", replies=(Reply(JOB, 202), away, away, Reply(ENDED)))
    assert done.code == 0
    done, _ = await answers(millstream, "submit", "t", "--wait", "0.2", replies=(Reply(JOB, 202), away))
    assert "draining" in done.sentence(69)


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (Reply({"detail": "too many"}, 429), 69, "too many"),
        (Reply({"detail": "PostgreSQL is away"}, 503), 69, "PostgreSQL is away"),
        (Reply(b"<html>", 502), 69, "is no millstream"),
        (Reply(b"<html>", 200), 69, "is no millstream"),
        (Reply({"detail": "an error of ours"}, 500), 1, "an error of ours"),
        (Reply(["nonsense"], 404), 1, "HTTP 404"),
        (
            Reply({"detail": "bad", "errors": [{"pointer": "/a", "detail": "x"}, {"pointer": "", "detail": "y"}]}, 422),
            1,
            "bad\n  /a: x\n  y\n",
        ),
        (Reply({"detail": "bad", "errors": [{"pointer": "/a", "detail": "bad"}]}, 422), 1, "bad\n  at /a\n"),
    ],
    ids=str,
)
async def test_each_refusal_has_its_exit_code(millstream: Command, reply: Reply, code: int, said: str) -> None:
    """69 where the same request may do later, 1 where it will not."""
    done, _ = await answers(millstream, "workers", replies=(reply,))
    assert said in done.sentence(code)


def test_who_is_silent_is_given_up() -> None:
    """A server that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UnavailableError, match=r"within 0\.1 s"):
        Client(f"http://127.0.0.1:{server.getsockname()[1]}").call("GET", "/", timeout=0.1)


QUEUES: dict[str, Any] = {
    "queues": [
        {"name": "default", "paused": False, "depth": 3, "by_status": {"PENDING": 2}},
        {"name": "reports", "paused": True, "depth": 0, "by_status": {}},
    ]
}
SCHEDULE: dict[str, Any] = {
    "name": "nightly",
    "cron": "0 3 * * *",
    "timezone": "UTC",
    "type": "t",
    "paused": False,
    "next_runs": ["2026-02-01"],
}

QUEUED = """\
NAME     PAUSED  DEPTH  BY STATUS
default  no          3  PENDING 2
reports  yes         0  -
"""
LISTED = "nightly  cron 0 3 * * *  UTC       t     no      2026-02-01  -\n"

CALLS: list[tuple[tuple[str, ...], Any, str, Any, str]] = [
    (("queues", "list"), QUEUES, "GET /queues", None, QUEUED),
    (("queues", "pause", "a/b"), {}, "POST /queues/a%2Fb/pause", None, "the queue a/b is paused\n"),
    (("queues", "resume", "a"), {}, "POST /queues/a/resume", None, "the queue a is resumed\n"),
    (("schedules", "list"), {"schedules": [SCHEDULE]}, "GET /schedules", None, LISTED),
    (("schedules", "list"), {"schedules": []}, "GET /schedules", None, "(no schedules)\n"),
    (("schedules", "get", "nightly"), SCHEDULE, "GET /schedules/nightly", None, "cron       0 3 * * *\n"),
    (("schedules", "put", "n", '{"every": 5, "type": "t"}'), SCHEDULE, "PUT /schedules/n", {"every": 5, "type": "t"}, "nightly\n"),
    (("schedules", "delete", "n"), None, "DELETE /schedules/n", None, "the schedule n is deleted\n"),
    (("schedules", "trigger", "n"), {"id": "7"}, "POST /schedules/n/trigger", None, "7\n"),
    (("schedules", "pause", "n"), SCHEDULE, "POST /schedules/n/pause", None, "the schedule n is paused\n"),
    (("schedules", "resume", "n"), SCHEDULE, "POST /schedules/n/resume", None, "the schedule n is resumed\n"),
    (("dlq", "replay", "--type", "t", "--limit", "5"), {"matched": 3, "replayed": 2, "ids": [], "more": False, "dry_run": False},
     "POST /dlq/replay", {"type": "t", "limit": 5, "dry_run": False}, "2 of 3 replayed\n"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "reply", "line", "body", "said"), CALLS, ids=[" ".join(call[0][:2]) for call in CALLS])
async def test_each_command_asks_and_tells(
    millstream: Command, words: tuple[str, ...], reply: Any, line: str, body: Any, said: str
) -> None:
    """What it sends, and what it makes of the answer; --json prints that as it came."""
    done, api = await answers(millstream, *words, replies=(Reply(reply),))
    assert (api.seen[0].line, api.seen[0].body, done.code) == (line, body, 0)
    assert said in done.out
    done, _ = await answers(millstream, *words, "--json", replies=(Reply(reply),))
    assert done.json == reply
