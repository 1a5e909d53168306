"""`Prefer: wait=N`: an answer as soon as the job is over, without polling; and at the latest when the time is."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from chaos.proxy import Proxy
from producer import waiters
from producer.app import Producer
from shared import events, probe
from shared.jobs import Context, PermanentFailure
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.producer import Answer, Api, client, running

pytestmark = pytest.mark.usefixtures("catalog")


class Gate:
    """A handler that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.running = 0
        self.opened_at = 0.0

    async def hold(self, _ctx: Context, _payload: object) -> str:
        """Wait; say that the gate was open."""
        self.running += 1
        await self.open.wait()
        return "through"

    async def let_go(self, count: int = 1) -> None:
        """Open when so many are there."""
        await eventually(lambda: self.running >= count, what="running handlers")
        self.opened_at = time.monotonic()
        self.open.set()


@pytest.fixture
def gate() -> Gate:
    """A gate that is shut."""
    return Gate()


@pytest.fixture
async def wire(stage: Stage) -> Proxy:
    """The producer's way to Redis."""
    return await stage.wire(stage.settings.redis_url)


@pytest.fixture
async def producer(stage: Stage, wire: Proxy) -> AsyncIterator[Producer]:
    """A producer behind that wire."""
    async with running(replace(stage.settings, redis_url=wire.url)) as process:
        yield process


@pytest.fixture
async def api(producer: Producer, stage: Stage) -> AsyncIterator[Api]:
    """A client of it."""
    del producer
    async with client(stage.settings) as connected:
        yield connected


def waiting(producer: Producer) -> int:
    """How many requests wait."""
    return len(producer._live._waiters)


async def patient(call: Coroutine[Any, Any, Answer]) -> tuple[Answer, float]:
    """Return the answer and when it came, by the monotonic clock."""
    answer = await call
    return answer, time.monotonic()


def get(api: Api, job_id: str, seconds: object = 10) -> Coroutine[Any, Any, Answer]:
    """GET with patience."""
    return api.get(f"/jobs/{job_id}", headers={"Prefer": f"wait={seconds}"})


async def has_begun(producer: Producer, stage: Stage, count: int = 1) -> None:
    """Wait until so many requests wait, and the news are heard."""
    await eventually(lambda: waiting(producer) == count, what="waiting requests")
    await eventually(lambda: subscribers(stage), what="the subscription")


async def subscribers(stage: Stage) -> int:
    """How many connections hear the news."""
    [(_, count)] = await stage.broker.client.pubsub_numsub(stage.broker.keys.events)
    return int(count)


async def test_a_look_is_answered_at_the_end(
    api: Api, producer: Producer, stage: Stage, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the news of it, not by asking; with the job as it is then."""
    monkeypatch.setattr(waiters, "ASK_SECONDS", 30.0)
    await stage.start({"test.noop": gate.hold})
    job_id = await api.submitted()
    task = asyncio.create_task(patient(get(api, job_id)))
    await has_begun(producer, stage)
    await gate.let_go()
    answer, at = await task
    assert (answer.status, answer.json["status"], answer.json["result"]) == (200, "COMPLETED", "through")
    assert answer.headers["Preference-Applied"] == "wait=10"
    assert "ETag" in answer.headers
    assert at - gate.opened_at < 1.0
    assert waiting(producer) == 0


async def test_a_submit_is_answered_at_the_end(api: Api, stage: Stage) -> None:
    """200 with the whole job instead of 202 with a receipt."""

    async def quick(_ctx: Context, _payload: object) -> int:
        return 5

    await stage.start({"test.noop": quick})
    answer = await api.post("/jobs", {"type": "test.noop", "tags": ["a"]}, headers={"Prefer": "wait=10"})
    assert (answer.status, answer.json["status"], answer.json["result"], answer.json["tags"]) == (200, "COMPLETED", 5, ["a"])
    assert answer.headers["Location"] == f"/jobs/{answer.json['id']}"
    assert answer.headers["Preference-Applied"] == "wait=10"


async def test_a_known_key_waits_for_the_first_job(api: Api, producer: Producer, stage: Stage, gate: Gate) -> None:
    """Who sends a job again because its answer was lost may wait for it, too."""
    await stage.start({"test.noop": gate.hold})
    first = await api.submitted(idempotency_key="k")
    body = {"type": "test.noop", "idempotency_key": "k"}
    task = asyncio.create_task(api.post("/jobs", body, headers={"Prefer": "wait=10"}))
    await has_begun(producer, stage)
    await gate.let_go()
    answer = await task
    assert (answer.status, answer.json["id"], answer.json["status"]) == (200, first, "COMPLETED")
    assert answer.headers["Idempotent-Replayed"] == "true"


async def test_failures_end_a_wait_too(api: Api, producer: Producer, stage: Stage) -> None:
    """FAILED and CANCELLED, waiting or running: all are ends. A retry is none."""

    async def fail(_ctx: Context, _payload: object) -> None:
        raise PermanentFailure("no")

    async def hold(_ctx: Context, _payload: object) -> None:
        await asyncio.sleep(60)

    await stage.start({"test.fail": fail, "test.sleep": hold})
    failed = await api.post("/jobs", {"type": "test.fail"}, headers={"Prefer": "wait=10"})
    assert (failed.status, failed.json["status"]) == (200, "FAILED")
    for body in ({"type": "test.noop", "delay": 7200}, {"type": "test.sleep"}):
        task = asyncio.create_task(patient(api.post("/jobs", body, headers={"Prefer": "wait=10"})))
        await has_begun(producer, stage)
        [listed] = (await api.get("/jobs?status=SCHEDULED,PENDING,PROCESSING")).json["jobs"]
        if body["type"] == "test.sleep":
            await stage.reaches(listed["id"], Status.PROCESSING)
        await api.post(f"/jobs/{listed['id']}/cancel")
        answer, _ = await task
        assert (answer.status, answer.json["status"]) == (200, "CANCELLED")


async def test_an_expiry_ends_a_wait_too(api: Api, producer: Producer, stage: Stage) -> None:
    """Nobody announces that one: the question to PostgreSQL finds it."""
    job_id = await api.submitted(type="csv.generate", expires_in=0.001)
    task = asyncio.create_task(get(api, job_id))
    await eventually(lambda: waiting(producer) == 1, what="a waiting request")
    await stage.start({"csv.generate": Gate().hold})
    answer = await task
    assert (answer.json["status"], answer.json["reason"]) == ("CANCELLED", "expired")


async def test_patience_has_an_end(api: Api, stage: Stage) -> None:
    """Then the answer is what it would have been, plus the header: 200 for a look, 202 for a submit."""
    stage.leftovers = True
    began = time.monotonic()
    answer = await api.post("/jobs", {"type": "test.noop"}, headers={"Prefer": "wait=1"})
    assert 1.0 <= time.monotonic() - began < 2.0
    assert (answer.status, answer.json["status"], answer.headers["Preference-Applied"]) == (202, "PENDING", "wait=1")
    assert answer.headers["Location"] == f"/jobs/{answer.json['id']}"
    began = time.monotonic()
    answer = await get(api, answer.json["id"], 1)
    assert 1.0 <= time.monotonic() - began < 2.0
    assert (answer.status, answer.json["status"], answer.headers["Preference-Applied"]) == (200, "PENDING", "wait=1")


@pytest.mark.parametrize("seconds", ["0", "abc", "-1", "1.5", ""])
async def test_what_is_no_wait_is_ignored(seconds: str, api: Api, stage: Stage) -> None:
    """As the RFC wants it: no error, no wait, no header."""
    stage.leftovers = True
    began = time.monotonic()
    posted = await api.post("/jobs", {"type": "test.noop"}, headers={"Prefer": f"wait={seconds}"})
    seen = await get(api, posted.json["id"], seconds)
    assert (posted.status, seen.status) == (202, 200)
    assert posted.json.keys() == {"id", "type", "status", "queue", "priority"}, "the receipt that is always sent"
    assert "Preference-Applied" not in posted.headers.keys() | seen.headers.keys()
    assert time.monotonic() - began < 0.5


async def test_what_is_over_is_answered_at_once(api: Api, stage: Stage) -> None:
    """And what does not exist, too."""
    job_id = await api.submitted(delay=7200)
    await api.post(f"/jobs/{job_id}/cancel")
    began = time.monotonic()
    answer = await get(api, job_id, 100)
    assert (answer.json["status"], answer.headers["Preference-Applied"]) == ("CANCELLED", "wait=60")
    assert (await api.get(f"/jobs/{job_id}", headers={"Prefer": "wait=9", "If-None-Match": answer.headers["ETag"]})).status == 304
    assert (await get(api, "01a20472-bd4b-7959-9d0a-52caa7b071d5")).status == 404
    assert time.monotonic() - began < 0.5
    assert await stage.is_empty()


async def test_a_committed_job_is_accepted_whatever_comes_then(api: Api, producer: Producer, stage: Stage) -> None:
    """PostgreSQL took the job and cannot be asked any more: 202 with the receipt, as without patience."""
    stage.leftovers = True
    wire = await stage.wire(stage.settings.database_url)
    wire.refuse()
    for member in producer._readers._members:
        await member.close()
        member._url = wire.url
    answer = await api.post("/jobs", {"type": "test.noop"}, headers={"Prefer": "wait=10"})
    assert (answer.status, answer.json["status"]) == (202, "PENDING")
    assert "Preference-Applied" not in answer.headers
    assert (await stage.row(answer.json["id"]))["status"] == Status.PENDING


async def test_redis_is_away(api: Api, producer: Producer, stage: Stage, gate: Gate, wire: Proxy) -> None:
    """The producer hears nothing: PostgreSQL is asked once a second, for all who wait."""
    await stage.start({"test.noop": gate.hold})
    job_ids = [await api.submitted() for _ in range(5)]
    await eventually(lambda: gate.running == 5, what="running handlers")
    wire.refuse()
    tasks = [asyncio.create_task(patient(get(api, job_id))) for job_id in job_ids]
    await eventually(lambda: waiting(producer) == 5, what="waiting requests")
    await gate.let_go()
    for task in tasks:
        answer, at = await task
        assert answer.json["status"] == "COMPLETED"
        assert at - gate.opened_at < 1.5
    wire.heal()


async def test_news_are_heard_again_after_an_outage(
    api: Api, producer: Producer, stage: Stage, gate: Gate, wire: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks while somebody waits; it is made anew: the end is heard of, not found by the next question."""
    monkeypatch.setattr(waiters, "ASK_SECONDS", 30.0)
    await stage.start({"test.noop": gate.hold})
    task = asyncio.create_task(patient(get(api, await api.submitted())))
    await has_begun(producer, stage)
    with probe.watch("hearing") as begun:
        wire.reset()
        await eventually(lambda: begun, what="a new subscription")
    await gate.let_go()
    answer, at = await task
    assert answer.json["status"] == "COMPLETED"
    assert at - gate.opened_at < 3.0


async def test_two_hundred_wait_at_no_cost(api: Api, producer: Producer, stage: Stage, gate: Gate) -> None:
    """All are answered within a moment, over one subscription and one question a second, whatever they wait for."""
    await stage.start({"test.noop": gate.hold}, concurrency=50)
    job_ids = [await api.submitted() for _ in range(50)]
    began = time.monotonic()
    with probe.watch("waiters_asked") as questions:
        tasks = [asyncio.create_task(patient(get(api, job_id, 30))) for job_id in job_ids * 4]
        await has_begun(producer, stage, 200)
        await gate.let_go(50)
        answers = await asyncio.gather(*tasks)
    assert {answer.json["status"] for answer, _ in answers} == {"COMPLETED"}
    assert max(at for _, at in answers) - gate.opened_at < 2.0
    assert max(map(len, questions), default=0) <= 50, "each job is asked for once, however many wait for it"
    assert len(questions) <= time.monotonic() - began + 2, "that second's question, one a second after it, and one when the news begin"
    assert await subscribers(stage) == 1
    assert waiting(producer) == 0


async def test_a_client_that_leaves_frees_its_place(api: Api, producer: Producer, stage: Stage) -> None:
    """Within about a second, however long it wanted to wait."""
    stage.leftovers = True
    job_id = await api.submitted()
    with pytest.raises(TimeoutError):
        await get_briefly(api, job_id)
    await eventually(lambda: waiting(producer) == 0, 3, "nobody who waits")


async def get_briefly(api: Api, job_id: str) -> None:
    """Begin to wait and hang up."""
    async with api.session.get(f"/jobs/{job_id}", headers={"Prefer": "wait=60"}, timeout=aiohttp.ClientTimeout(total=0.3)):
        raise AssertionError("it was answered")


async def test_there_is_a_bound(api: Api, producer: Producer, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it the preference is left out, as the RFC allows: the answer comes at once, without the header."""
    monkeypatch.setattr(waiters, "MOST_WAITERS", 2)
    stage.leftovers = True
    job_id = await api.submitted()
    tasks = [asyncio.create_task(get(api, job_id, 2)) for _ in range(2)]
    await eventually(lambda: waiting(producer) == 2, what="two waiting requests")
    began = time.monotonic()
    answer = await get(api, job_id)
    assert (answer.status, answer.json["status"]) == (200, "PENDING")
    assert "Preference-Applied" not in answer.headers
    assert time.monotonic() - began < 0.5
    assert [answer.headers["Preference-Applied"] for answer in await asyncio.gather(*tasks)] == ["wait=2", "wait=2"]


async def test_a_producer_that_ends_answers_all(api: Api, producer: Producer, stage: Stage) -> None:
    """At once, with what is so far: nobody is cut off."""
    stage.leftovers = True
    job_id = await api.submitted()
    tasks = [asyncio.create_task(patient(get(api, job_id, 60))) for _ in range(20)]
    await eventually(lambda: waiting(producer) == 20, what="waiting requests")
    began = time.monotonic()
    producer.stop()
    for task in tasks:
        answer, at = await task
        assert (answer.status, answer.json["status"]) == (200, "PENDING")
        assert at - began < 1.0


async def test_nobody_waits_nobody_hears(api: Api, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The subscription ends a while after the last one who waited."""
    monkeypatch.setattr(events, "LINGER_SECONDS", 0.5)
    assert await subscribers(stage) == 0
    job_id = await api.submitted(delay=7200)
    task = asyncio.create_task(get(api, job_id))
    await eventually(lambda: subscribers(stage), what="the subscription")
    await api.post(f"/jobs/{job_id}/cancel")
    await task

    async def nobody() -> bool:
        return await subscribers(stage) == 0

    await eventually(nobody, 5, "the end of the subscription")
