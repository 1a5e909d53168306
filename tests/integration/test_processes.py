"""Handlers in child processes: where they run, how each dies alone, and what is said about it."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from structlog.testing import capture_logs

from shared.jobs import Context, registered
from shared.lifecycle import Status
from tests.support import process_handlers
from tests.support.consumer import Running, Stage
from tests.support.eventually import eventually


async def neighbour(_: Context, __: Any) -> str:
    """Take a moment."""
    await asyncio.sleep(0.3)
    return "unharmed"


async def start(stage: Stage, **changes: Any) -> Running:
    """Start a consumer with the handlers of process_handlers and a neighbour in the loop; two children unless told otherwise."""
    return await stage.start({"neighbour": neighbour}, modules=[process_handlers.MODULE], **{"processes": 2} | changes)


def payload(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def children() -> list[psutil.Process]:
    """Our child processes that run handlers."""
    return [child for child in psutil.Process().children() if "consumer.child" in child.cmdline()]


def oom_score(pid: int) -> int:
    """How gladly the kernel kills it."""
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


async def test_it_runs_elsewhere_and_returns_its_result(stage: Stage) -> None:
    """In a process of its own, with job id, attempt and the consumer's settings; the process is used again, and gone in the end."""
    running = await start(stage, processes=1)
    ids = await stage.submit_many(5, "p.pid")
    results = [(await stage.reaches(job_id, Status.COMPLETED))["result"] for job_id in ids]
    assert [result["job_id"] for result in results] == ids
    assert {(result["attempt"], result["settings"]) for result in results} == {(1, stage.settings.stream)}
    [pid] = {result["pid"] for result in results}
    assert pid != os.getpid()
    if sys.platform == "linux":
        assert oom_score(pid) == 500, "the consumer goes last"
    await running.stop()
    assert not psutil.pid_exists(pid)


DEATHS = {
    "p.sigkill": "ProcessDied: the handler's process was killed by signal SIGKILL (9); out of memory?",
    "p.segfault": "ProcessDied: the handler's process was killed by signal SIGSEGV (11)",
    "p.exit": "ProcessDied: the handler's process exited with code 3",
    "p.exit0": "ProcessDied: the handler's process exited with code 0",
}


async def test_who_dies_dies_alone_and_the_error_says_how(stage: Stage) -> None:
    """Killed, out of bounds or simply gone: each job fails with the reason; those beside it in the loop and in a child complete."""
    running = await start(stage)
    name = running.name
    beside = [await stage.submit("neighbour"), await stage.submit("p.sleep", payload=payload(seconds=0.5))]
    ids = {kind: await stage.submit(kind, max_attempts=2) for kind in DEATHS}
    for kind, job_id in ids.items():
        row = await stage.reaches(job_id, Status.FAILED)
        assert (row["error"], row["failures"], row["crashes"], row["reason"]) == (DEATHS[kind], 2, 0, "attempts_spent")
        assert await stage.history(job_id) == ["failed", "failed"]
    for job_id in (*beside, await stage.submit("p.pid")):
        assert (await stage.reaches(job_id, Status.COMPLETED))["attempts"] == 1
    assert running.name == name, "the lease was lost"


@pytest.mark.parametrize(("mb", "status"), [(16, Status.COMPLETED), (128, Status.FAILED)])
async def test_memory_is_limited(stage: Stage, mb: int, status: Status) -> None:
    """Of 64 MiB a handler may take 16 but not 128: that is a MemoryError like any other, and the process lives on."""
    await start(stage, processes=1)
    before = (await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED))["result"]["pid"]
    row = await stage.reaches(await stage.submit("p.memory", payload=payload(mb=mb), max_attempts=1), status)
    assert row["result"] == 16 * 1024 * 1024 or row["error"].startswith("MemoryError")
    assert (await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED))["result"]["pid"] == before


async def test_there_are_never_more_than_so_many(stage: Stage) -> None:
    """None before the first job; six jobs share two processes; jobs that wait for one are not timed out meanwhile."""
    await start(stage, processes=2)
    assert children() == []
    ids = await stage.submit_many(6, "p.sleep", payload=payload(seconds=0.6), timeout=1.5)
    seen = 0
    for job_id in ids:
        row = await stage.reaches(job_id, Status.COMPLETED)
        assert row["attempts"] == 1
        seen = max(seen, len(children()))
    assert seen == 2


async def test_a_child_that_was_used_a_lot_is_replaced(stage: Stage) -> None:
    """After a hundred jobs, or after one that used much memory, another process goes on."""
    await start(stage, processes=1)
    ids = await stage.submit_many(101, "p.pid")
    pids = [(await stage.reaches(job_id, Status.COMPLETED))["result"]["pid"] for job_id in ids]
    counts = sorted(pids.count(pid) for pid in set(pids))
    assert counts == [1, 100]
    last = next(pid for pid in set(pids) if pids.count(pid) == 1)
    fat = await stage.reaches(await stage.submit("p.leak", payload=payload(mb=300)), Status.COMPLETED)
    assert fat["result"] == last
    assert (await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED))["result"]["pid"] != last
    await eventually(lambda: len(children()) == 1)


FAILURES = {
    "system_exit": ("attempts_spent", "SystemExit: 3"),
    "keyboard": ("attempts_spent", "KeyboardInterrupt"),
    "permanent": ("permanent_failure", "PermanentFailure: never"),
    "huge": ("attempts_spent", "RuntimeError: xxx"),
    "unspeakable": ("attempts_spent", "UnspeakableError"),
    "interrupted": ("attempts_spent", "Interrupted: of its own"),
    "surrogate": ("attempts_spent", "RuntimeError: a?b"),
}


async def test_whatever_it_raises_is_told_as_of_any_handler(stage: Stage) -> None:
    """The words, the traceback and what follows are those of a handler in the loop; the process goes on."""
    await start(stage, processes=1)
    before = (await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED))["result"]["pid"]
    for what, (reason, words) in FAILURES.items():
        job_id = await stage.submit("p.raise", payload=payload(what=what, always=""), max_attempts=1)
        row = await stage.reaches(job_id, Status.FAILED)
        assert (row["reason"], row["error"].startswith(words), len(row["error"]) <= 2000) == (reason, True, True), row
        if what != "unspeakable":
            [trace] = await stage.database.fetch("SELECT traceback FROM attempts WHERE job_id = $1", job_id)
            assert "process_handlers.py" in trace[0] or what == "huge"
    for what in ("retry_after", "snooze"):
        row = await stage.reaches(await stage.submit("p.raise", payload=payload(what=what)), Status.COMPLETED)
        assert (row["result"], row["failures"]) == (2, int(what == "retry_after"))
    assert (await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED))["result"]["pid"] == before


@pytest.mark.parametrize(
    ("what", "reason", "words"),
    [
        ("lambda", "invalid_result", "the handler returned function, which cannot be JSON"),
        ("huge", "result_too_large", "the handler returned 50000002 bytes of JSON"),
        ("surrogate", "invalid_result", "the handler returned str, which cannot be JSON"),
    ],
)
async def test_a_result_that_cannot_be_kept(stage: Stage, what: str, reason: str, words: str) -> None:
    """It never leaves the child, and fails the job with the same reason as anywhere."""
    await start(stage)
    row = await stage.reaches(await stage.submit("p.return", payload=payload(what=what)), Status.FAILED)
    assert (row["reason"], row["error"].startswith(words), row["attempts"]) == (reason, True, 1)
    assert (await stage.reaches(await stage.submit("p.return", payload=payload(what="none")), Status.COMPLETED))["result"] is None


async def test_a_payload_that_does_not_fit(stage: Stage) -> None:
    """A job that came by another way than the API: found out in the child, buried at once."""
    await start(stage)
    row = await stage.reaches(await stage.submit("p.soft", payload=b'{"folder": 5}'), Status.FAILED)
    assert (row["reason"], row["error"][:33]) == ("permanent_failure", "PermanentFailure: invalid payload")


HOSTILE = {
    "p.hang_up": "ProcessDied: the handler's process closed its connection to the consumer, and was killed",
    "p.garbage": "ProcessDied: the handler's process wrote what is no message into its connection to the consumer, and was killed",
    "p.close": "ProcessDied: the handler's process exited with code 1",  # it had no way left to say that all went well
}


async def test_a_handler_that_breaks_its_connection(stage: Stage) -> None:
    """It closes the socket or writes nonsense into it: its process is killed, its job fails, nobody waits for its time limit."""
    await start(stage)
    ids = {kind: await stage.submit(kind, max_attempts=1) for kind in HOSTILE}
    for kind, job_id in ids.items():
        assert (await stage.reaches(job_id, Status.FAILED))["error"] == HOSTILE[kind]
    await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED)


async def test_a_handler_that_forks(stage: Stage) -> None:
    """Both copies return; only the one that the consumer knows is heard, and the next job finds the process in order."""
    await start(stage, processes=1)
    assert (await stage.reaches(await stage.submit("p.fork"), Status.COMPLETED))["result"] == "parent"
    await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED)


async def test_what_a_handler_starts_dies_with_its_process(stage: Stage, tmp_path: Path) -> None:
    """A program that it started and left behind when it died does not live on, nor does it hold the job up."""
    await start(stage)
    row = await stage.reaches(await stage.submit("p.family", payload=payload(folder=str(tmp_path)), max_attempts=1), Status.FAILED)
    assert row["error"] == "ProcessDied: the handler's process exited with code 4"
    number = int((tmp_path / "family").read_text())
    await eventually(lambda: not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE)


async def test_a_child_that_cannot_import(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the module and the reason; once it is mended, the next attempt runs."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "fragile_handlers.py"
    good = "from shared.jobs import job\n@job('fragile', executor='process')\ndef fragile(ctx, payload): return 'well'\n"
    module.write_text(good)
    await stage.start(modules=["fragile_handlers"])
    module.write_text("import no_such_module\n")
    row = await stage.reaches(await stage.submit("fragile", max_attempts=1), Status.FAILED)
    assert "could not start: MILLSTREAM_HANDLERS: cannot import 'fragile_handlers': ModuleNotFoundError" in row["error"]
    module.write_text(good)
    assert (await stage.reaches(await stage.submit("fragile"), Status.COMPLETED))["result"] == "well"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os._exit(3)", "the handler's process exited with code 3 while it imported the handlers"),
        ("time.sleep(60)", "the handler's process had not imported the handlers after 1.5 s"),
    ],
)
async def test_a_child_that_does_not_come_up(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str) -> None:
    """It dies or sleeps while it imports: the job fails with that, and nothing is left of the child."""
    monkeypatch.setattr("consumer.processes.process.START_SECONDS", 1.5)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    name = f"stillborn_{len(code)}"
    declared = "import os, sys, time\nfrom shared.jobs import job\n@job('stillborn', executor='process')\ndef f(ctx, payload): ...\n"
    (tmp_path / f"{name}.py").write_text(f"{declared}if 'consumer.child' in ' '.join(sys.orig_argv): {code}\n")
    monkeypatch.setattr("shared.jobs._registered", registered())
    await stage.start(modules=[name])
    row = await stage.reaches(await stage.submit("stillborn", max_attempts=1), Status.FAILED)
    assert row["error"] == f"ProcessDied: {words}"
    assert children() == []


async def test_what_it_says_is_in_the_log_with_its_job(stage: Stage) -> None:
    """Structlog, logging, print and programs: every line carries job, type and attempt; what is below the level is dropped."""
    await start(stage)
    with capture_logs() as lines:
        job_id = await stage.submit("p.log")
        await stage.reaches(job_id, Status.COMPLETED)
        await eventually(lambda: [line for line in lines if line.get("text") == "by a program"])
    mine = {line.get("text", line["event"]): line for line in lines if line.get("job_id") == job_id}
    assert mine["at a level of its own"]["log_level"] == "warning"
    assert mine.keys() >= {"by_structlog", "by logging", "by print", "by a program", "a?b"}
    assert {(line["job_type"], line["attempt"]) for line in mine.values()} == {("p.log", 1)}
    assert (mine["by_structlog"]["log_level"], mine["by_structlog"]["colour"]) == ("warning", "blue")
    assert mine["by logging"]["logger"] == "a.library"
    assert "too_quiet" not in mine


async def test_a_flood_of_output_is_cut(stage: Stage) -> None:
    """A thousand lines of a job are kept, the rest is counted; the job is not held up for long, and other jobs not at all."""
    await start(stage, processes=1)
    with capture_logs() as lines:
        row = await stage.reaches(await stage.submit("p.flood", payload=payload(lines=200_000)), Status.COMPLETED)
        await stage.reaches(await stage.submit("neighbour"), Status.COMPLETED)
        await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED)
        dropped = await eventually(lambda: [line for line in lines if line["event"] == "handler_output_dropped"])
    kept = [line for line in lines if line["event"] == "handler_printed" and line["job_id"] == row["id"]]
    assert len(kept) == 1000
    assert sum(line["lines_count"] for line in dropped) > 190_000


async def test_a_flood_of_log_lines_holds_nobody_up(stage: Stage) -> None:
    """None is lost, they come in order, and the consumer's loop is never away for long."""
    await start(stage, processes=1)
    with capture_logs() as lines:
        job_id = await stage.submit("p.chatter", payload=payload(lines=5000))
        lag = await longest_lag(lambda: any(line.get("number") == 4999 for line in lines[-20:]))
    await stage.reaches(job_id, Status.COMPLETED)
    assert [line["number"] for line in lines if line["event"] == "chatter"] == [*range(5000)]
    assert lag < 1.0


async def longest_lag(until: Callable[[], bool]) -> float:
    """Watch the event loop until then; return for how long it was away at most. Seconds."""
    loop = asyncio.get_running_loop()
    longest = 0.0
    while not until():
        before = loop.time()
        await asyncio.sleep(0)
        longest = max(longest, loop.time() - before)
    return longest
