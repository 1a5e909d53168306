"""A handler that misbehaves counts when it has said so, and nobody cancels its job before."""

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from chaos import recorder, work
from chaos.client import Client
from chaos.faults import FAULTS, MissedError, jobs
from chaos.faults.jobs import LONG_LEASES
from chaos.history import History
from chaos.journal import Journal, read
from chaos.reading import read_recording
from chaos.servers import until
from shared.embedded.process import Process
from shared.settings import Settings


@asynccontextmanager
async def service(folder: Path, *, runs: bool) -> AsyncIterator[Any]:
    """A world whose producer takes every job, and whose jobs begin, or do not; `asked` are the ids whose end was asked for."""
    asked: list[str] = []
    begun: set[asyncio.Future[Any]] = set()

    async def submit(request: web.Request) -> web.Response:
        body, job_id = await request.json(), secrets.token_hex(4)
        if runs:
            ctx: Any = SimpleNamespace(job_id=job_id, attempt=1)
            begun.add(asyncio.ensure_future(work.work(ctx, work.Work(**body["payload"]))))
        return web.json_response({"id": job_id}, status=202)

    async def cancel(request: web.Request) -> web.Response:
        asked.append(request.match_info["id"])
        return web.json_response({})

    app = web.Application()
    app.add_routes([web.post("/jobs", submit), web.post("/jobs/{id}/cancel", cancel)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with Journal(folder / "journal") as journal:
        async with Client("http://{}:{}".format(*runner.addresses[0]), journal, Random(1)) as client:
            yield SimpleNamespace(client=client, recording=folder / "recording", settings=Settings(lease_seconds=0.5), asked=asked)
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)
    await runner.cleanup()


@pytest.fixture
async def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The pid of a recorder that listens."""
    with tempfile.TemporaryDirectory() as short:  # the path of a socket may have 107 bytes only
        entrance = Path(short, "recorder")
        process = Process([sys.executable, "-m", "chaos.recorder", entrance, tmp_path / "recording"])
        process.start()

        async def listens() -> bool:
            return entrance.is_socket()  # noqa: ASYNC240

        await until(listens, 20, "the recorder listens")
        monkeypatch.setitem(os.environ, recorder.SOCKET_VARIABLE, str(entrance))
        recorder._line.cache_clear()
        yield process.pid or 0
        recorder._line(os.getpid()).close()
        recorder._line.cache_clear()
        process.kill()


@pytest.mark.parametrize(("name", "lasts"), [("handler.overflow", 0.0), ("handler.block.long", 0.5 * LONG_LEASES)])
async def test_it_has_said_so(listener: int, tmp_path: Path, name: str, lasts: float) -> None:
    """The recorder heard of it, and its job is none that the load may cancel."""
    del listener
    async with service(tmp_path, runs=True) as world:
        dice: Any = SimpleNamespace(choice=lambda kinds: kinds[0])
        async with FAULTS[name].deed(world, dice) as hit:
            assert [event["e"] for event in read(tmp_path / "recording")] == ["misdeed"]
        assert (hit.seconds, world.asked, world.client.recent) == (lasts, [], [])


async def test_it_was_accepted_and_never_began(listener: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it does not count, and shall not come to it any more; what it might do until then is known to come of it."""
    del listener
    monkeypatch.setattr(jobs, "TOLD_SECONDS", 0.3)
    async with service(tmp_path, runs=False) as world:
        struck = []
        with pytest.raises(MissedError, match="did not say"):
            async with FAULTS["handler.hang"].deed(world, Random(1)) as hit:
                struck.append(hit)
        assert len(struck) == len(world.asked) == 1


@pytest.mark.parametrize(("code", "ours", "felt"), [(-9, False, True), (-9, True, False), (3, False, False), (None, False, False)])
async def test_the_kernel_has_killed_the_consumer_that_took_too_much(
    monkeypatch: pytest.MonkeyPatch, code: int | None, *, ours: bool, felt: bool
) -> None:
    """Not we, nor itself."""
    monkeypatch.setattr(jobs, "KILLED_SECONDS", 0.2)
    member = SimpleNamespace(killed={11} if ours else set())
    world: Any = SimpleNamespace(deaths={} if code is None else {11: code}, members=[member])
    assert await jobs._killed_by_the_kernel(world, 11) == felt


async def test_where_no_consumer_is_none_is_starved(listener: int, tmp_path: Path) -> None:
    """No job is submitted that would take its memory later, without a limit."""
    del listener
    async with service(tmp_path, runs=True) as world:
        world.alive = lambda _: []
        with pytest.raises(MissedError, match="no consumer runs"):
            async with FAULTS["handler.starve.consumer"].deed(world, Random(1)):
                pass
        assert not (tmp_path / "recording").read_bytes()


def test_without_a_limit_nothing_is_eaten() -> None:
    """It would be the memory of the machine."""
    with pytest.raises(RuntimeError, match="there is no limit here"):
        work._starve()


@pytest.mark.skipif(os.geteuid() != 0, reason="wants the right to go before others")
async def test_the_recorder_goes_before_those_who_tell_it(listener: int) -> None:
    """They would wait for it: few datagrams fit into the kernel's queue."""
    assert os.getpriority(os.PRIO_PROCESS, listener) < os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize(("ago", "known"), [(20.0, 20.0), (4000.0, 0.0), (-50.0, 0.0)])
async def test_when_a_worker_looked_at_its_lease_is_told_by_the_recorders_clock(
    listener: int, tmp_path: Path, ago: float, known: float
) -> None:
    """A start may be heard of long after; a monotonic clock that cannot be right is none."""
    del listener
    recorder.tell("start", job="a", n=1, worker="machine:11:a", looked=time.monotonic() - ago)

    async def written() -> bool:
        return any(read(tmp_path / "recording"))

    await until(written, 20, "it is written down")
    history = History()
    read_recording(history, tmp_path / "recording")
    [run] = history.runs["a"]
    assert run.looked is not None
    assert run.began - run.looked == pytest.approx(known, abs=2.0)
