"""Named queues: streams of their own, weights, limits, pauses that survive the loss of Redis."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from producer.app import Producer
from shared.broker import Broker
from shared.database import Database
from shared.ids import new_id
from shared.jobs import Context
from shared.keys import PRIORITIES, lane_name, lanes_of
from shared.lifecycle import Status
from shared.queue_store import Queue, QueueStore
from shared.queues import MOST_QUEUES
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.producer import Api

pytestmark = pytest.mark.usefixtures("stage")


@pytest.fixture
def store(database: Database) -> QueueStore:
    """The queues of this test's database."""
    return QueueStore(database)


class Gate:
    """A handler that holds its jobs until the gate opens, and remembers which queue each came from."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.order: list[str] = []
        self.open = asyncio.Event()

    async def __call__(self, _: Context, payload: Any) -> None:
        """Hold."""
        self.order.append(payload)
        self.running[payload] += 1
        await self.open.wait()
        self.running[payload] -= 1


async def fill(stage: Stage, count: int, queue: str, **fields: Any) -> list[str]:
    """Submit so many jobs to a queue, which says its name in the payload."""
    stage.broker.lanes = tuple(dict.fromkeys((*stage.broker.lanes, *lanes_of([queue]))))
    return await stage.submit_many(count, "gate", queue=queue, payload=f'"{queue}"'.encode(), **fields)


async def test_sql_and_python_name_lanes_alike(database: Database) -> None:
    """What PostgreSQL returns is where the broker publishes."""
    for queue in ("default", "emails", "a.b-c_D"):
        for priority in PRIORITIES:
            named = await database.fetch_value("SELECT lane($1, $2::text::job_priority)", queue, priority)
            assert named == lane_name(queue, priority)


async def test_a_queue_exists_from_its_first_job_on(stage: Stage, store: QueueStore) -> None:
    """Whoever inserted it; and its jobs run in a consumer that was there before it."""
    gate = Gate()
    gate.open.set()
    await stage.start({"gate": gate.__call__})
    [job_id] = await fill(stage, 1, "brand-new")
    assert Queue("brand-new", paused=False) in await store.all()
    await stage.reaches(job_id, Status.COMPLETED)
    await eventually(stage.is_empty)


async def test_slots_are_divided_by_weight(stage: Stage) -> None:
    """Ten slots, full queues of weights 6, 3 and 1: six, three, one."""
    for queue in ("critical", "default", "low"):
        await fill(stage, 30, queue)
    gate = Gate()
    await stage.start({"gate": gate.__call__}, concurrency=10, queues=(("critical", 6), ("default", 3), ("low", 1)))
    await eventually(lambda: gate.running.total() == 10)
    assert gate.running == {"critical": 6, "default": 3, "low": 1}
    gate.open.set()
    await eventually(stage.is_empty)


async def test_a_queue_that_is_not_named_is_left_alone(stage: Stage) -> None:
    """MILLSTREAM_QUEUES=a serves a only; another consumer with * serves the rest."""
    theirs, ours = Gate(), Gate()
    theirs.open.set()
    ours.open.set()
    await fill(stage, 5, "a")
    await fill(stage, 5, "b")
    await stage.start({"gate": theirs.__call__}, queues=(("a", 1),))
    await eventually(lambda: len(theirs.order) == 5)
    await stage.start({"gate": ours.__call__}, queues=(("never", 1), ("*", 1)))
    await eventually(stage.is_empty)
    assert theirs.order == ["a"] * 5
    assert ours.order == ["b"] * 5


async def test_a_limit_holds_while_others_fill_the_rest(stage: Stage) -> None:
    """reports:2 beside fifty slots: two of them, never more, and the next begins as soon as one has ended."""
    gate, most = Gate(), 0
    await fill(stage, 6, "reports")
    await fill(stage, 6, "default")

    async def counted(ctx: Context, payload: Any) -> None:
        nonlocal most
        most = max(most, gate.running["reports"] + (payload == "reports"))
        await gate(ctx, payload)

    await stage.start({"gate": counted}, concurrency=50, queue_concurrency=(("reports", 2),))
    await eventually(lambda: gate.running == {"reports": 2, "default": 6})
    gate.open.set()
    await eventually(stage.is_empty)
    assert most == 2
    assert Counter(gate.order) == {"reports": 6, "default": 6}


async def test_a_paused_queue_stands_still_through_the_loss_of_redis(stage: Stage, store: QueueStore) -> None:
    """FLUSHALL forgets neither the pause nor a job; resumed, each runs once."""
    gate = Gate()
    gate.open.set()
    await store.pause("reports", paused=True)
    await stage.start({"gate": gate.__call__})
    await fill(stage, 20, "reports")
    urgent = await fill(stage, 1, "default")
    await stage.reaches(urgent[0], Status.COMPLETED)
    await stage.broker.client.flushdb()
    again = await fill(stage, 1, "default")
    await stage.reaches(again[0], Status.COMPLETED)
    depths = await eventually(lambda: _rebuilt(stage), what="twenty entries put back")
    assert depths == (20, 0)
    assert gate.order == ["default", "default"]
    await store.pause("reports", paused=False)
    await eventually(stage.is_empty)
    assert Counter(gate.order) == {"default": 2, "reports": 20}


async def _rebuilt(stage: Stage) -> tuple[int, int]:
    depth = (await stage.broker.lane_depths())["reports:normal"]
    assert depth[0] == 20
    return depth


async def test_retries_and_delays_come_back_to_their_own_queue(stage: Stage) -> None:
    """Through the ZSET and back into the lane of queue and priority."""
    tries: Counter[str] = Counter()

    async def flaky(ctx: Context, _: Any) -> None:
        tries[ctx.job_id] += 1
        if tries[ctx.job_id] == 1:
            raise ValueError("once more")

    stage.broker.lanes = lanes_of(["default", "mails"])
    ids = await stage.submit_many(3, "flaky", queue="mails", priority="high", delay=0.3)
    await stage.start({"flaky": flaky}, queues=(("mails", 1),))
    for job_id in ids:
        await stage.reaches(job_id, Status.COMPLETED)
    assert set(tries.values()) == {2}
    await eventually(stage.is_empty)


async def test_what_is_due_in_an_unknown_lane_is_not_stuck(broker: Broker) -> None:
    """A consumer that has not heard of a queue puts its job into the default stream: it runs there as well."""
    job_id = new_id()
    await broker.client.zadd(broker.keys.delayed, {f"{job_id}:unheard-of:high": 1})
    assert (await broker.promote())[0] == 1
    assert [fields[b"id"] for _, fields in await broker.client.xrange(broker.keys.base)] == [job_id.encode()]


async def test_urgent_jobs_overtake_a_backlog_of_100000_within_a_second(stage: Stage) -> None:
    """One consumer, a full queue of normal jobs that never ends: a high one starts within a second, and low ones are not starved."""
    started: dict[str, float] = {}
    loop = asyncio.get_running_loop()

    async def note(_: Context, payload: str) -> None:
        started.setdefault(payload, loop.time())
        await asyncio.sleep(0.001)

    stage.leftovers = True
    for _ in range(20):
        await stage.submit_many(5000, "note", payload=b'"normal"')
    await stage.submit_many(100, "note", payload=b'"low"', priority="low")
    await stage.start({"note": note}, concurrency=50)
    await eventually(lambda: "normal" in started)
    began = loop.time()
    await stage.submit_many(100, "note", payload=b'"high"', priority="high")
    await eventually(lambda: {"high", "low"} <= started.keys())
    assert started["high"] - began < 1.0
    assert started["low"] - began < 5.0
    assert (await stage.broker.depths())["normal"] > 10_000


async def test_a_job_of_another_workers_type_reaches_it_soon(stage: Stage) -> None:
    """Two consumers with different types on one stream: each job ends, without a failure, and none waits for long."""
    done: Counter[str] = Counter()

    async def note(_: Context, payload: str) -> None:
        done[payload] += 1

    await stage.start({"left": note})
    await stage.start({"right": note})
    for _ in range(10):
        await stage.submit("left", payload=b'"left"')
        await stage.submit("right", payload=b'"right"')
    await eventually(lambda: done == {"left": 10, "right": 10}, within=8)
    await eventually(stage.is_empty)
    rows = await stage.database.fetch("SELECT failures, attempts FROM jobs")
    assert {tuple(row) for row in rows} == {(0, 1)}


async def test_the_api_lists_pauses_and_resumes(api: Api) -> None:
    """GET /queues, and both verbs; a pause may come before the first job, under a legal name only."""
    await api.submitted(queue="reports")
    assert (await api.call("POST", "/queues/reports/pause")).json == {"name": "reports", "paused": True}
    assert (await api.call("POST", "/api/v1/queues/early/pause")).status == 200
    listed = {queue["name"]: queue for queue in (await api.call("GET", "/queues")).json["queues"]}
    assert {name: queue["paused"] for name, queue in listed.items()} == {"default": False, "early": True, "reports": True}
    assert listed["reports"]["counts"] == {"PENDING": 1}
    assert listed["reports"]["workers"] == 0
    assert listed["reports"]["oldest_age_seconds"] >= 0
    await eventually(lambda: _lag(api, "reports", 1))
    assert (await api.call("POST", "/queues/reports/resume")).json == {"name": "reports", "paused": False}
    (await api.call("POST", "/queues/no%20name/pause")).problem(404)
    (await api.call("POST", f"/queues/{'x' * 65}/pause")).problem(404)


async def _lag(api: Api, queue: str, lag: int) -> bool:
    listed = (await api.call("GET", "/queues")).json["queues"]
    assert {item["name"]: (item["lag"], item["pending"]) for item in listed}[queue] == (lag, 0)
    return True


async def test_the_number_of_queues_is_bounded(api: Api, database: Database, producer: Producer) -> None:
    """Each costs every consumer three streams: who makes up names is refused, who uses known ones is not."""
    await database.fetch("INSERT INTO queues (name) SELECT 'q' || n FROM generate_series(2, $1::integer) AS n", MOST_QUEUES)
    await producer._queues.refresh()
    assert (await api.submit(queue="one-more")).pointers() == ["/queue"]
    assert (await api.submit(queue="q7")).status == 202
    bulk = await api.call("POST", "/jobs/bulk", json=[{"type": "test.noop", "queue": "one-more"}, {"type": "test.noop"}])
    assert bulk.pointers() == ["/0/queue"]
