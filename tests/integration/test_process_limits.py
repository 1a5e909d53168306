"""Handlers in child processes that shall end: they are asked first, killed when they do not listen, and nobody waits for them."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from consumer.context import JobContext
from shared.lifecycle import Status
from tests.support import process_handlers
from tests.support.consumer import Running, Stage
from tests.support.eventually import eventually


async def start(stage: Stage, **changes: Any) -> Running:
    """Start a consumer with the handlers of process_handlers."""
    return await stage.start(modules=[process_handlers.MODULE], **{"processes": 2} | changes)


def in_folder(folder: Path) -> bytes:
    """Return the payload of a handler that leaves its marks there."""
    return msgspec.json.encode({"folder": str(folder)})


async def marked(folder: Path, name: str) -> str:
    """Wait for that mark; return what it says."""
    await eventually((folder / name).exists, what=f"the mark {name!r}")
    return (folder / name).read_text()


def is_gone(pid: int) -> bool:
    """Whether the process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_soft_timeout_is_raised_in_the_handler(stage: Stage, tmp_path: Path) -> None:
    """In the middle of a sleep; the handler sees ctx.cancelled, returns what it has, and the job is COMPLETED with that."""
    await start(stage, processes=1)
    row = await stage.reaches(await stage.submit("p.soft", payload=in_folder(tmp_path), timeout=0.3), Status.COMPLETED)
    assert (row["result"], row["attempts"]) == ("partial", 1)
    assert await marked(tmp_path, "asked") == "SoftTimeout True"
    after = await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED)
    assert after["attempts"] == 1, "the next job has a process that nothing has disturbed"


async def test_a_soft_timeout_that_passes_through_fails_the_job(stage: Stage, tmp_path: Path) -> None:
    """The clean-up has run, the attempt counts as a failure with the usual words."""
    await start(stage)
    row = await stage.reaches(await stage.submit("p.obedient", payload=in_folder(tmp_path), timeout=0.3, max_attempts=1), Status.FAILED)
    assert (row["error"], row["reason"]) == ("timeout: stopped after 0.3 s", "attempts_spent")
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize("kind", ["p.deaf", "p.busy", "p.frozen"])
async def test_who_ignores_it_is_killed(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Who swallows the request, never hears it or is frozen: after the time to obey the process is gone and its place free."""
    monkeypatch.setattr("consumer.in_flight.OBEY_SECONDS", 0.3)
    running = await start(stage, processes=1)
    job_id = await stage.submit(kind, payload=in_folder(tmp_path), timeout=0.3, max_attempts=1)
    pid = int(await marked(tmp_path, "began"))
    row = await stage.reaches(job_id, Status.FAILED)
    assert row["error"] == "timeout: stopped after 0.3 s"
    assert kind != "p.deaf" or await marked(tmp_path, "asked") == "SoftTimeout"
    await eventually(lambda: is_gone(pid))
    assert (await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED))["result"]["pid"] != pid
    assert running.consumer.worker is not None
    assert running.consumer.worker.in_flight.abandoned == 0


@pytest.mark.parametrize("kind", ["p.obedient", "p.deaf"])
async def test_cancel_of_a_running_job(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Asked within a second; who does not listen is killed soon after. Either way the job is CANCELLED and its process idle or gone."""
    monkeypatch.setattr("consumer.in_flight.OBEY_SECONDS", 0.5)
    await start(stage)
    job_id = await stage.submit(kind, payload=in_folder(tmp_path))
    pid = int(await marked(tmp_path, "began"))
    began = time.monotonic()
    assert await stage.jobs.request_cancel(job_id)
    await stage.reaches(job_id, Status.CANCELLED)
    assert time.monotonic() - began < 4
    assert await stage.history(job_id) == ["cancelled"]
    await eventually(lambda: is_gone(pid))


async def test_drain_hands_back_what_does_not_end(stage: Stage, tmp_path: Path) -> None:
    """After the grace time the deaf one is killed; it and the one that still waited for a process are PENDING, without a failure."""
    running = await start(stage, processes=1, grace_seconds=0.3)
    busy = await stage.submit("p.deaf", payload=in_folder(tmp_path))
    pid = int(await marked(tmp_path, "began"))
    waiting = await stage.submit("p.pid")
    await stage.reaches(waiting, Status.PROCESSING)
    await running.stop()
    assert is_gone(pid)
    for job_id in (busy, waiting):
        row = await stage.row(job_id)
        assert (row["status"], row["failures"], row["crashes"]) == (Status.PENDING, 0, 0)
        assert await stage.history(job_id) == ["handed_back"]
    await stage.jobs.cancel([busy])
    await start(stage)
    assert (await stage.reaches(waiting, Status.COMPLETED))["attempts"] == 2


async def test_drain_lets_finish_what_can(stage: Stage) -> None:
    """Within the grace time a handler in a process may end as any other."""
    running = await start(stage, grace_seconds=10.0)
    job_id = await stage.submit("p.sleep", payload=b'{"seconds": 1}')
    await stage.reaches(job_id, Status.PROCESSING)
    await eventually(lambda: _children(running), what="a child")
    await running.stop()
    row = await stage.row(job_id)
    assert (row["status"], row["attempts"]) == (Status.COMPLETED, 1)


def _children(running: Running) -> bool:
    return running.consumer.worker is not None and bool(running.consumer.worker._processes._children)


async def test_a_lost_lease_kills_at_once(stage: Stage, tmp_path: Path) -> None:
    """Somebody else may run the job by now: it is not asked, and has no time to clean up."""
    running = await start(stage)
    job_id = await stage.submit("p.obedient", payload=in_folder(tmp_path))
    pid = int(await marked(tmp_path, "began"))
    (tmp_path / "began").unlink()
    await stage.database.fetch("UPDATE leases SET dead_at = now() WHERE worker = $1", running.name)
    await eventually(lambda: is_gone(pid))
    assert not (tmp_path / "cleaned").exists()
    assert int(await marked(tmp_path, "began")) != pid, "it runs again"
    assert await stage.jobs.request_cancel(job_id)
    await stage.reaches(job_id, Status.CANCELLED)


async def test_cancel_while_the_process_starts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose process is not ready yet can be cancelled; the half-started process goes away."""
    started: list[int] = []
    held = asyncio.Event()

    async def never(child: Any, _: Any) -> None:
        started.append(child.pid)
        await held.wait()

    monkeypatch.setattr("consumer.processes.process.ChildProcess._introduced", never)
    await start(stage)
    job_id = await stage.submit("p.pid")
    await eventually(lambda: started)
    assert await stage.jobs.request_cancel(job_id)
    await stage.reaches(job_id, Status.CANCELLED)
    await eventually(lambda: is_gone(started[0]))


async def test_a_child_that_dies_while_it_is_idle(stage: Stage) -> None:
    """Nobody's job fails for that: the next one gets another process."""
    await start(stage, processes=1)
    pid = (await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED))["result"]["pid"]
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not psutil.pid_exists(pid))
    row = await stage.reaches(await stage.submit("p.pid"), Status.COMPLETED)
    assert (row["attempts"], row["result"]["pid"] != pid) == (1, True)


class Remote:
    """What the handlers of this file may call."""

    def __init__(self) -> None:
        self.recorded: list[Any] = []

    async def record(self, *args: Any) -> dict[str, Any]:
        """Remember the arguments, and answer in kind."""
        self.recorded.append(args)
        return {"recorded": len(self.recorded), "nothing": None, "list": [1, 2.5, "ä"]}

    async def refuse(self, text: str) -> None:
        """Raise."""
        raise ValueError(text)

    async def _private(self) -> None:
        """Not for handlers."""


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    """Answers the calls of handlers in child processes."""
    answering = Remote()

    class Connected(JobContext):
        __slots__ = ()
        remote = answering  # type: ignore[assignment]

    monkeypatch.setattr("consumer.worker.JobContext", Connected)
    return answering


async def test_calls_reach_the_consumer_and_are_answered(stage: Stage, remote: Remote) -> None:
    """A coroutine method of the job's remote object is awaited there; results and errors come back; nothing else can be called."""
    await start(stage)

    async def called(method: str, *args: Any) -> Any:
        job_id = await stage.submit("p.call", payload=msgspec.json.encode({"method": method, "args": args}))
        return (await stage.reaches(job_id, Status.COMPLETED))["result"]

    assert await called("record", 1, {"a": [None]}) == {"recorded": 1, "nothing": None, "list": [1, 2.5, "ä"]}
    assert remote.recorded == [(1, {"a": [None]})]
    assert await called("refuse", "no!") == {"error": "ValueError", "message": "no!"}
    for forbidden in ("_private", "__init__", "missing"):
        assert (await called(forbidden))["error"] == "AttributeError"
    assert await called("record") == {"recorded": 2, "nothing": None, "list": [1, 2.5, "ä"]}
    assert (await called("record", "x" * 500_000))["recorded"] == 3


async def test_a_thread_left_behind_does_not_speak_for_the_next_job(stage: Stage, remote: Remote, tmp_path: Path) -> None:
    """It calls while another job runs in the process: refused."""
    await start(stage, processes=1)
    await stage.reaches(await stage.submit("p.leftover", payload=in_folder(tmp_path)), Status.COMPLETED)
    await stage.reaches(await stage.submit("p.next", payload=in_folder(tmp_path)), Status.COMPLETED)
    assert (tmp_path / "refused").read_text() == "the job that called has ended"
    assert remote.recorded == []
