"""The load generators against a real aiohttp server: the bare floor."""

from collections.abc import AsyncIterator
from time import perf_counter

import orjson
import pytest
from aiohttp import web

from loadtest import closed_loop, echo, open_loop
from loadtest.http1 import Target


@pytest.fixture
async def seen() -> list[bytes]:
    """Bodies that the server has got."""
    return []


@pytest.fixture
async def target(seen: list[bytes]) -> AsyncIterator[Target]:
    """Address of a server that echoes at /jobs, and refuses every third request at /refuse."""

    async def listen(request: web.Request) -> web.Response:
        seen.append(await request.read())
        refused = request.path == "/refuse" and len(seen) % 3 == 0
        return web.Response(status=503, text="full") if refused else await echo.echo(request)

    app = web.Application()
    app.add_routes([web.post("/jobs", listen), web.post("/refuse", listen)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield Target("127.0.0.1", runner.addresses[0][1], "/jobs")
    await runner.cleanup()


async def test_a_counted_run_sends_exactly_so_many(target: Target, seen: list[bytes]) -> None:
    """More connections than requests, or fewer: every request is sent once and answered."""
    tally = closed_loop.Tally(count=25)
    await closed_loop.run(target, target.post(b'{"n":1}'), 4, tally)
    result = tally.result()
    assert seen == [b'{"n":1}'] * 25
    assert (result["count"], result["bad_count"]) == (25, 0)


async def test_answers_that_are_not_2xx_are_bad(target: Target) -> None:
    """They are told apart, with an example for the report."""
    refusing = Target(target.host, target.port, "/refuse")
    tally = closed_loop.Tally(count=9)
    await closed_loop.run(refusing, refusing.post(b"{}"), 3, tally)
    assert tally.result()["count"] == 6
    assert (tally.bad_count, tally.bad_example) == (3, "503 full")


async def test_a_timed_run_counts_only_its_window(target: Target, seen: list[bytes]) -> None:
    """What is sent before the warm-up is over, or answered after the end, is not in the rate."""
    begin = perf_counter() + 0.05
    tally = closed_loop.Tally(begin=begin, until=begin + 0.1)
    await closed_loop.run(target, target.post(b"{}"), 2, tally)
    assert 0 < len(tally.latencies) < len(seen)
    assert tally.first_at >= begin
    assert tally.last_at <= begin + 0.1


async def test_open_loop_returns_every_id_with_its_time(target: Target, seen: list[bytes]) -> None:
    """20 requests at 200 a second: 20 ids, sent in order of time."""
    sent = await open_loop.run(target, target.post(orjson.dumps({"id": "a"})), rate=200, seconds=0.1)
    assert [job_id for job_id, _ in sent] == ["a"] * 20 == ["a"] * len(seen)
    assert [at for _, at in sent] == sorted(at for _, at in sent)


async def test_open_loop_does_not_hide_a_refusal(target: Target) -> None:
    """An answer that is not 2xx ends the run."""
    refusing = Target(target.host, target.port, "/refuse")
    with pytest.raises(ExceptionGroup) as caught:
        await open_loop.run(refusing, refusing.post(b'{"id":"a"}'), rate=100, seconds=0.05)
    assert "503" in str(caught.value.exceptions[0])
