"""Why is this job not running? Facts in, one sentence out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from producer.why import explain
from shared.job_facts import Facts

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    """So many seconds before now."""
    return NOW - timedelta(seconds=seconds)


def known(**others: Any) -> Facts:
    """A job that is due and could run at once, but for `others`."""
    usual: dict[str, Any] = {
        "id": "1", "type": "csv.generate", "queue": "default", "status": "PENDING", "reason": None, "error": None,
        "attempts": 0, "failures": 0, "max_attempts": 4, "run_at": ago(3), "expires_at": None, "started_at": None, "finished_at": None,
        "cancel_requested": False, "worker": None, "paused": False, "lease_alive": False, "heartbeat_at": None, "lease_seconds": None,
        "workers": 2, "serving": 2, "able": 2, "willing": 2, "types": ["csv.generate"], "ahead": 0, "ahead_more": False, "now": NOW,
    }  # fmt: skip
    return Facts(**usual | others)


RUNS: dict[str, Any] = {"status": "PROCESSING", "attempts": 2, "started_at": ago(5), "worker": "w1"}
RUNS |= {"lease_alive": True, "heartbeat_at": ago(1), "lease_seconds": 10.0}
DOING = "running since 2026-01-31T11:59:55Z on worker w1 (attempt 2)"
SILENT = "has been silent since 2026-01-31T11:59:54Z: without a sign of life the job is taken over at 2026-01-31T12:00:04Z"
SPENT = "attempt 5, failure 4 of 4) and is in the dead-letter queue"
NOBODY: dict[str, Any] = {"workers": 0, "serving": 0, "able": 0, "willing": 0, "types": []}
LOST: dict[str, Any] = {"workers": 1, "serving": 1, "able": 0, "willing": 0, "types": ["a", "b"]}

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("next", {}, "next", "waits for a free worker; it is next in line, due since 2026-01-31T11:59:57Z"),
    ("one ahead", {"ahead": 1}, "behind_others", "waits for a free worker behind 1 job of the same stream"),
    ("few ahead", {"ahead": 99}, "behind_others", "waits for a free worker behind 99 jobs of the same stream"),
    ("many ahead", {"ahead": 12_345}, "behind_others", "waits for a free worker behind about 12,000 jobs of the same stream"),
    (
        "a lot",
        {"ahead": 50_000, "ahead_more": True},
        "behind_others",
        "waits for a free worker behind more than 50,000 jobs of the same stream",
    ),
    ("scheduled", {"status": "SCHEDULED", "run_at": ago(-60)}, "due_later", "due at 2026-01-31T12:01:00Z (in 60 s)"),
    ("in hours", {"status": "SCHEDULED", "run_at": ago(-7200), **NOBODY}, "due_later", "due at 2026-01-31T14:00:00Z (in 2 h)"),
    ("in days", {"status": "SCHEDULED", "run_at": ago(-3 * 86_400)}, "due_later", "due at 2026-02-03T12:00:00Z (in 3 days)"),
    ("was scheduled", {"status": "SCHEDULED"}, "next", "waits for a free worker; it is next in line, due since 2026-01-31T11:59:57Z"),
    (
        "retry",
        {"status": "RETRYING", "failures": 2, "run_at": ago(-4), "error": "no route"},
        "retry_later",
        "waits for retry 2 of 3, due at 2026-01-31T12:00:04Z (in 4 s); the last error: no route",
    ),
    ("paused", {"paused": True, **NOBODY}, "queue_paused", "the queue default is paused"),
    ("nobody", NOBODY, "no_worker", "no worker is alive; start one with `python -m consumer`"),
    (
        "put off",
        {**LOST, "status": "SCHEDULED", "run_at": ago(-15)},
        "no_worker_for_type",
        "no live worker handles the type csv.generate; 1 live worker handles: a, b",
    ),
    ("due before long", {**LOST, "status": "SCHEDULED", "run_at": ago(-16)}, "due_later", "due at 2026-01-31T12:00:16Z (in 16 s)"),
    ("deferred", {**NOBODY, "run_at": ago(-15)}, "no_worker", "no worker is alive; start one with `python -m consumer`"),
    (
        "not served",
        {"serving": 0, "able": 0},
        "no_worker_for_queue",
        "no live worker serves the queue default (2 live workers serve others)",
    ),
    ("not able", LOST, "no_worker_for_type", "no live worker handles the type csv.generate; 1 live worker handles: a, b"),
    ("ending", {"willing": 0}, "workers_draining", "2 live workers could run it, but are about to end"),
    (
        "next turn",
        {"run_at": ago(-15)},
        "due_later",
        "no worker could take it at its last turn; its next one is at 2026-01-31T12:00:15Z (in 15 s)",
    ),
    (
        "too late",
        {"expires_at": NOW},
        "expired",
        "expired: it had not been started by 2026-01-31T12:00:00Z, and will be cancelled when its turn comes",
    ),
    ("not too late", {"expires_at": ago(-1), "ahead": 1}, "behind_others", "waits for a free worker behind 1 job of the same stream"),
    ("running", RUNS, "running", DOING),
    ("asked to stop", {**RUNS, "cancel_requested": True}, "stop_requested", f"{DOING}; it has been asked to stop"),
    (
        "silent",
        {**RUNS, "heartbeat_at": ago(6), "cancel_requested": True},
        "worker_silent",
        f"{DOING}, but that worker {SILENT}",
    ),
    ("not silent yet", {**RUNS, "heartbeat_at": ago(5)}, "running", DOING),
    ("dead", {**RUNS, "lease_alive": False}, "worker_dead", f"{DOING}, but that worker is dead: another one takes it over within seconds"),
    (
        "completed",
        {"status": "COMPLETED", "attempts": 3, "finished_at": ago(1)},
        "completed",
        "completed at 2026-01-31T11:59:59Z by attempt 3",
    ),
    (
        "failed",
        {"status": "FAILED", "attempts": 5, "failures": 4, "finished_at": ago(1), "reason": "attempts_spent", "error": "no route"},
        "failed",
        f"failed at 2026-01-31T11:59:59Z (attempts_spent; {SPENT}; the last error: no route",
    ),
    ("cancelled", {"status": "CANCELLED", "reason": "cancelled", "finished_at": ago(1)}, "cancelled", "cancelled at 2026-01-31T11:59:59Z"),
    (
        "expired",
        {"status": "CANCELLED", "reason": "expired", "finished_at": ago(1), "expires_at": ago(8)},
        "expired",
        "expired: it had not been started by 2026-01-31T11:59:52Z",
    ),
]


@pytest.mark.parametrize(("others", "reason", "sentence"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_one_sentence_for_each_case(others: dict[str, Any], reason: str, sentence: str) -> None:
    """The first thing that keeps it from running is named, with what a person would ask next."""
    found = explain(known(**others))
    assert (found.reason, found.why) == (reason, sentence)


def test_a_long_list_of_types_is_cut() -> None:
    """A sentence names twenty; programs get all."""
    types = [f"t{number:02}" for number in range(30)]
    found = explain(known(**LOST | {"types": types}))
    assert found.why.endswith("t18, t19, ...")
    assert found.more == {"types": types}
