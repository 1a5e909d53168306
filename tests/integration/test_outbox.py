"""Jobs that SQL alone has submitted reach the streams within a moment, and are never lost on the way."""

import asyncio

import pytest

from consumer.outbox import Outbox
from shared import probe
from shared.broker import Broker
from shared.callback_store import PAGE, CallbackStore
from shared.database import Database
from shared.errors import BrokerUnavailableError
from shared.jobs import Context
from shared.keys import Keys
from shared.lifecycle import Status
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.eventually import eventually

pytestmark = pytest.mark.usefixtures("catalog")
ALL_BUT_OUTBOX = ("worker", "reaper", "delayer", "reconciler", "janitor")


async def noop(_ctx: Context, _payload: object) -> None:
    """Nothing."""


async def enqueue(database: Database, arguments: str = "") -> str:
    """Return the id of a job that SQL has submitted."""
    job_id: str = await database.fetch_value(f"SELECT millstream.enqueue('test.noop'{arguments})::text")
    return job_id


@pytest.fixture
def outbox(database: Database, broker: Broker) -> Outbox:
    """The service, to be run step by step."""
    return Outbox(CallbackStore(database), broker)


async def test_a_job_starts_within_a_moment(stage: Stage) -> None:
    """From the commit to the start it takes a quarter of a second or so, not the seconds of the reconciler."""
    await stage.start({"test.noop": noop})
    for _ in range(3):
        row = await stage.reaches(await enqueue(stage.database), Status.COMPLETED)
        assert (row["started_at"] - row["created_at"]).total_seconds() < 1.0
    assert await stage.database.fetch_value("SELECT count(*) FROM outbox") == 0


async def test_each_goes_where_it_belongs(outbox: Outbox, database: Database, broker: Broker) -> None:
    """By priority into the streams, what is due within the hour into the ZSET, what is due later nowhere yet."""
    for arguments in (", priority => 'high'", ", priority => 'low'", "", ", delay => 3000", ", delay => 4000"):
        await enqueue(database, arguments)
    await outbox.step()
    depths = await broker.depths()
    assert {name: depths[name] for name in ("high", "normal", "low", "delayed")} == {"high": 1, "normal": 1, "low": 1, "delayed": 1}
    assert await database.fetch_value("SELECT count(*) FROM outbox") == 0


async def test_pages_follow_each_other_at_once(outbox: Outbox, database: Database, broker: Broker) -> None:
    """After a full page there is no pause, after the last one there is."""
    await database.fetch("SELECT millstream.enqueue('test.noop') FROM generate_series(1, $1)", PAGE + 1)
    assert await outbox.step() == 0.0
    assert await outbox.step() > 0.0
    assert (await broker.depths())["normal"] == PAGE + 1


async def test_two_services_do_not_publish_a_job_twice(settings: Settings, broker: Broker, database: Database) -> None:
    """Each takes what no other is taking."""
    await database.fetch("SELECT millstream.enqueue('test.noop') FROM generate_series(1, 500)")
    rivals = [Database(settings.database_url, "rival") for _ in range(4)]
    await asyncio.gather(*(Outbox(CallbackStore(rival), broker).step() for rival in rivals))
    await asyncio.gather(*(rival.close() for rival in rivals))
    assert (await broker.depths())["normal"] == 500


async def test_what_cannot_run_any_more_is_dropped(outbox: Outbox, database: Database, broker: Broker) -> None:
    """A job that was cancelled or removed before its turn gets no entry."""
    cancelled, removed = await enqueue(database), await enqueue(database)
    await database.fetch("UPDATE jobs SET status = 'CANCELLED', finished_at = now() WHERE id = $1", cancelled)
    await database.fetch("DELETE FROM jobs WHERE id = $1", removed)
    await outbox.step()
    assert (await broker.depths())["normal"] == 0
    assert await database.fetch_value("SELECT count(*) FROM outbox") == 0


async def test_the_reconciler_finds_what_a_crash_left_between_commit_and_publish(stage: Stage) -> None:
    """The row is out of the outbox, the entry was never made: the job runs all the same."""

    def die(_: object) -> None:
        raise RuntimeError("as if the process had died here")

    job_id = await enqueue(stage.database)
    with probe.on("outbox_taken", die), pytest.raises(RuntimeError):
        await Outbox(CallbackStore(stage.database), stage.broker).step()
    assert await stage.database.fetch_value("SELECT count(*) FROM outbox") == 0
    await stage.start({"test.noop": noop}, roles=ALL_BUT_OUTBOX)
    assert (await stage.reaches(job_id, Status.COMPLETED))["attempts"] == 1


async def test_an_outage_of_redis_loses_nothing(stage: Stage) -> None:
    """What cannot be published is left to the reconciler, which goes on when Redis is back."""
    wire = await stage.wire(stage.settings.redis_url)
    wire.refuse()
    away = Broker(wire.url, Keys(stage.settings.stream), stage.settings.group)
    job_id = await enqueue(stage.database)
    with pytest.raises(BrokerUnavailableError):
        await Outbox(CallbackStore(stage.database), away).step()
    await away.close()
    await stage.start({"test.noop": noop})
    assert (await stage.reaches(job_id, Status.COMPLETED))["attempts"] == 1


async def test_an_empty_outbox_is_cheap(outbox: Outbox, database: Database) -> None:
    """After thousands of jobs have passed through it the look at it reads a few pages, however many dead rows lie there."""
    await database.fetch("SELECT millstream.enqueue('test.noop') FROM generate_series(1, 5000)")

    async def is_empty() -> bool:
        return await outbox.step() > 0.0

    await eventually(is_empty, what="an empty outbox")
    await outbox.step()  # whoever passes dead entries of the index first marks them as dead
    plan = "\n".join(
        row[0]
        for row in await database.fetch(
            "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) SELECT job_id FROM outbox ORDER BY job_id LIMIT 1000 FOR UPDATE SKIP LOCKED"
        )
    )
    assert int(plan.partition("shared hit=")[2].split()[0]) < 200, plan
