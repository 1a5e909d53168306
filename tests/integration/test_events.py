"""`GET /events`: a live view of what happens to jobs, for many at the cost of one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from producer import streams
from producer.app import Producer
from shared.events import Announcer
from shared.jobs import Context, PermanentFailure, Snooze
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.producer import Api, client, running
from tests.support.raw_http import open_wire, request

pytestmark = pytest.mark.usefixtures("catalog")


@pytest.fixture
async def producer(stage: Stage) -> AsyncIterator[Producer]:
    """A producer."""
    async with running(stage.settings) as process:
        yield process


@pytest.fixture
async def api(producer: Producer, stage: Stage) -> AsyncIterator[Api]:
    """A client of it."""
    del producer
    async with client(stage.settings) as connected:
        yield connected


class Viewer:
    """A client that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.lines: list[str] = []
        self.ended = False

    async def read(self, api: Api) -> None:
        """Read to the end."""
        async with api.session.get("/events") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/event-stream"
            name = ""
            async for raw in response.content:
                line = raw.decode().rstrip("\n")
                self.lines.append(line)
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.events.append((name, json.loads(line.removeprefix("data: "))))
        self.ended = True

    def states(self, job_id: str) -> list[str]:
        """Return the states that the job has come into, in the order in which it was told."""
        return [status for name, news in self.events if name == "jobs" for status, ids in news.items() if job_id in ids]


@asynccontextmanager
async def viewing(api: Api, producer: Producer) -> AsyncIterator[Viewer]:
    """Look on until the block ends."""
    viewer = Viewer()
    task = asyncio.create_task(viewer.read(api))
    before = len(producer._live.streams._clients)
    await eventually(lambda: len(producer._live.streams._clients) > before and viewer.lines, what="the stream")
    try:
        yield viewer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def hears(stage: Stage) -> None:
    """Wait until the producer hears the news."""

    async def subscribed() -> int:
        [(_, count)] = await stage.broker.client.pubsub_numsub(stage.broker.keys.events)
        return int(count)

    await eventually(subscribed, what="the subscription")


async def test_every_settled_attempt_is_told(api: Api, producer: Producer, stage: Stage) -> None:
    """Ends, retries, snoozes, cancels and replays, each within a moment."""

    async def twice(ctx: Context, _payload: object) -> None:
        if ctx.attempt == 1:
            raise RuntimeError("once")
        if ctx.attempt == 2:
            raise Snooze(0)

    async def fail(_ctx: Context, _payload: object) -> None:
        raise PermanentFailure("no")

    await stage.start({"test.noop": twice, "test.fail": fail})
    async with viewing(api, producer) as viewer:
        await hears(stage)
        job_id = await api.submitted(backoff={"kind": "fixed", "base": 0})
        await eventually(lambda: viewer.states(job_id) == ["RETRYING", "SCHEDULED", "COMPLETED"], what="the states")
        failed = await api.submitted(type="test.fail")
        await eventually(lambda: viewer.states(failed) == ["FAILED"], what="the failure")
        cancelled = await api.submitted(delay=7200)
        await api.post(f"/jobs/{cancelled}/cancel")
        await eventually(lambda: viewer.states(cancelled) == ["CANCELLED"], what="the cancel")
        await api.post(f"/jobs/{failed}/retry")
        await eventually(lambda: sorted(viewer.states(failed)[1:]) == ["FAILED", "PENDING"], what="the replay")


async def test_counters_come_every_second(api: Api, producer: Producer, stage: Stage) -> None:
    """The numbers by state, also when nothing happens."""
    stage.leftovers = True
    await api.submitted()
    async with viewing(api, producer) as viewer:
        assert viewer.lines[0] == "retry: 2000"
        await eventually(lambda: len(viewer.events) >= 2, 5, "two counters")
    for name, data in viewer.events[:2]:
        assert name == "counters"
        assert data["by_status"]["PENDING"] == 1
        assert data["throughput_per_second"] == 0


async def test_all_viewers_see_the_same(api: Api, producer: Producer, stage: Stage) -> None:
    """A batch of many is one frame for each of them."""
    async with viewing(api, producer) as first, viewing(api, producer) as second:
        await hears(stage)
        announcer = Announcer(stage.broker)
        announcer.put("COMPLETED", ["a", "b"])
        announcer.put("FAILED", {"c"})
        announcer.put("COMPLETED", ["d"])
        announcer.close()
        await announcer.run()
        expected = ("jobs", {"COMPLETED": ["a", "b", "d"], "FAILED": ["c"]})
        await eventually(lambda: expected in first.events and expected in second.events, what="the frame")


async def test_nonsense_on_the_channel_is_skipped(api: Api, producer: Producer, stage: Stage) -> None:
    """Whoever else publishes there does not end the stream."""
    async with viewing(api, producer) as viewer:
        await hears(stage)
        for message in (b"", b"{", b"[1]", b'{"COMPLETED": 5}', b"\xff", b'{"COMPLETED": ["x"]}'):
            await stage.broker.client.publish(stage.broker.keys.events, message)
        await eventually(lambda: viewer.states("x"), what="what makes sense")
        assert [news for name, news in viewer.events if name == "jobs"] == [{"COMPLETED": ["x"]}]


async def test_a_quiet_stream_is_kept_alive(api: Api, producer: Producer, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then, should even the counters fail to come."""
    monkeypatch.setattr(streams, "COUNTERS_SECONDS", 60.0)
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
    del stage
    async with viewing(api, producer) as viewer:
        await eventually(lambda: ": still here" in viewer.lines, what="a comment")


async def test_a_viewer_that_leaves_is_forgotten(api: Api, producer: Producer) -> None:
    """The next frame finds nobody there."""
    async with viewing(api, producer):
        assert len(producer._live.streams._clients) == 1
    await eventually(lambda: not producer._live.streams._clients, 5, "no client")


async def test_a_viewer_that_does_not_read_is_cut_off(producer: Producer, stage: Stage) -> None:
    """What waits for it is bounded; the others are not held up."""
    wire = await open_wire(stage.settings.port)
    await wire.send(request("GET", "/events"))
    await eventually(lambda: producer._live.streams._clients, what="the stream")
    wire.reader._transport.pause_reading()  # type: ignore[attr-defined]
    large = {"COMPLETED": ["x" * 100_000]}

    async def is_gone() -> bool:
        producer._live.streams.heard(large)
        return not producer._live.streams._clients

    await eventually(is_gone, 20, "the end of the stream")
    wire.writer.transport.abort()


async def test_there_is_a_bound(api: Api, producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it: 503, try later."""
    monkeypatch.setattr(streams, "MOST_CLIENTS", 1)
    async with viewing(api, producer):
        answer = await api.get("/events")
        assert answer.problem(503)["detail"] == "1 clients are connected already"
        assert answer.headers["Retry-After"] == "5"


async def test_a_producer_that_ends_ends_its_streams(api: Api, producer: Producer) -> None:
    """Properly, at once: the browser connects to another one."""
    async with viewing(api, producer) as viewer:
        producer.stop()
        await eventually(lambda: viewer.ended, 2, "the end of the stream")


async def test_a_head_has_no_body(api: Api) -> None:
    """As with any GET."""
    answer = await api.call("HEAD", "/events")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/event-stream", b"")
