"""How PostgreSQL goes about a settle: from the batch to the table, however small the table is, and whether or not it was analysed."""

from typing import Any

import orjson
import pytest
from msgspec import Raw

from shared.database import BY_KEY, Database
from shared.ids import new_id
from shared.job_store import SQL, JobStore
from shared.lease_store import LeaseStore
from shared.models import NewJob
from shared.settings import Settings
from tests.support.make import TYPES, open_lease

ROWS, BATCH = 2000, 500
MORE = {"retry": ([1.0] * BATCH, ["e"] * BATCH, ["t"] * BATCH), "succeed": ([b"null"] * BATCH,), "hand_back": ()}


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize("move", MORE)
async def test_a_settle_looks_its_jobs_up(
    move: str, analysed: bool, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """No row of the table is compared with jobs of the batch that it is not."""
    lease = await open_lease(leases, settings)
    new = [NewJob(id=new_id(), type=TYPES[0], payload=Raw(b"{}")) for _ in range(ROWS)]
    await jobs.submit(new)
    ids = [job.id for job in new[:BATCH]]
    await jobs.claim(ids, lease, TYPES)
    if analysed:
        await database.fetch("ANALYZE jobs")
    worker = Database(settings.database_url, "worker", settings=BY_KEY)
    plan = await worker.fetch_value(f"EXPLAIN (ANALYZE, FORMAT JSON) {SQL[move]}", ids, [1] * BATCH, lease.id, *MORE[move])
    await worker.close()
    assert _removed(orjson.loads(plan)[0]["Plan"]) == 0


def _removed(node: dict[str, Any]) -> int:
    """Rows that a join threw away, in all of the plan."""
    return int(node.get("Rows Removed by Join Filter", 0)) + sum(map(_removed, node.get("Plans", ())))
