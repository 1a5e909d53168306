"""The floors do what their names say, on real servers: a floor that skips work would make millstream look bad, not fast."""

import pytest

from loadtest.floors import drain, insert, xadd
from shared.broker import Broker
from shared.database import Database
from shared.settings import Settings

SUMS = "SELECT count(*) AS jobs, count(*) FILTER (WHERE status = 'COMPLETED' AND attempts = 1 AND result::text = 'null') AS done FROM jobs"


@pytest.mark.parametrize(("flight", "settlers"), [(1, 1), (4, 2)])
async def test_insert_and_drain(settings: Settings, broker: Broker, database: Database, flight: int, settlers: int) -> None:
    """Every inserted job is completed once and has left its stream, one batch after the other or several at a time."""
    inserted = await insert.insert(settings.database_url, count=100, batch=30)
    assert (inserted.count, inserted.batches, inserted.timed) == (120, 4, 90)
    ids = [row[0] for row in await database.fetch("SELECT id::text FROM jobs")]
    await broker.publish([("normal", job_id) for job_id in ids])
    drained = await drain.drain(
        settings.database_url, settings.redis_url, batch=25, flight=flight, settlers=settlers, stream=settings.stream
    )
    assert (drained.count, drained.batches) == (120, 5)
    assert tuple((await database.fetch(SUMS))[0]) == (120, 120)
    assert (await broker.lane_depths())["normal"] == (0, 0)


async def test_xadd(settings: Settings, broker: Broker) -> None:
    """Each entry is in the stream."""
    added = await xadd.add(settings.redis_url, count=70, batch=20, stream=settings.stream)
    assert (added.count, added.batches) == (80, 4)
    assert (await broker.lane_depths())["normal"] == (80, 0)
    assert added.rate > 0
