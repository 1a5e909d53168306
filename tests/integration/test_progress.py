"""ctx.progress: what people see of a running job, without it being felt by the job or by PostgreSQL."""

import asyncio
import math
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from shared import probe
from shared.database import Database
from shared.jobs import Context
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.eventually import eventually
from tests.support.producer import Api, client
from tests.support.producer import running as serving


async def test_a_running_job_shows_how_far_it_is(stage: Stage, catalog: None) -> None:
    """GET /jobs/{id} says it within a second, with the time, and its ETag changes."""
    gate = asyncio.Event()

    async def handler(ctx: Context, _: Any) -> None:
        ctx.progress(33.5, "a third")
        await gate.wait()

    del catalog
    await stage.start({"long": handler})
    async with serving(stage.settings), client(stage.settings) as api:
        job_id = await stage.submit("long")
        tag = (await api.get(f"/jobs/{job_id}")).headers["ETag"]
        await stage.reaches(job_id, Status.PROCESSING)
        began = time.monotonic()
        progress = await eventually(lambda: _progress(api, job_id), what="progress")
        assert time.monotonic() - began < 2
        assert (await api.get(f"/jobs/{job_id}", headers={"If-None-Match": tag})).status == 200
    assert (progress["percent"], progress["message"]) == (33.5, "a third")
    assert progress["at"].endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(progress["at"])).total_seconds()) < 5
    gate.set()
    await stage.reaches(job_id, Status.COMPLETED)


async def _progress(api: Api, job_id: str) -> Any:
    return (await api.job(job_id))["progress"]


@pytest.mark.parametrize("ending", ["returns", "fails", "is stopped"])
async def test_the_last_report_always_arrives(ending: str, stage: Stage) -> None:
    """A short job reports a hundred times and ends in the same moment: the last report is in the row that says how it ended."""

    async def handler(ctx: Context, _: Any) -> None:
        for percent in range(101):
            ctx.progress(percent, f"at {percent}")
        if ending == "fails":
            raise RuntimeError("at the end")
        if ending == "is stopped":
            await asyncio.Event().wait()

    await stage.start({"short": handler})
    job_id = await stage.submit("short", timeout=0.2, max_attempts=1)
    row = await stage.reaches(job_id, Status.COMPLETED if ending == "returns" else Status.FAILED)
    assert (row["progress"]["percent"], row["progress"]["message"]) == (100, "at 100")


async def test_a_thread_reports_in_a_tight_loop_without_waiting(stage: Stage) -> None:
    """Twenty thousand reports take a fraction of a second: each is a note, few are written, the last one is kept."""
    took: list[float] = []

    def handler(ctx: Context, _: Any) -> None:
        began = time.monotonic()
        for number in range(20_000):
            ctx.progress(number / 200)
        took.append(time.monotonic() - began)

    await stage.start({"tight": handler})
    row = await stage.reaches(await stage.submit("tight"), Status.COMPLETED)
    assert took[0] < 5  # a round trip each would take minutes, a hop to the loop each several seconds
    assert row["progress"]["percent"] == 19_999 / 200


async def test_writes_are_seldom_and_in_one_statement(stage: Stage) -> None:
    """A hundred jobs report all the time for some two seconds: a handful of statements carry all of it."""
    batches: list[int] = []
    fetch = Database.fetch

    async def count(self: Database, query: str, *args: Any) -> Any:
        if "progress =" in query:
            batches.append(len(args[0]))
        return await fetch(self, query, *args)

    async def handler(ctx: Context, _: Any) -> None:
        for number in range(100):
            ctx.progress(number)
            await asyncio.sleep(0.02)  # the pace of the load

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "fetch", count)
        began = time.monotonic()
        await stage.start({"chatty": handler}, concurrency=100)
        ids = await stage.submit_many(100, "chatty")
        for job_id in ids:
            row = await stage.reaches(job_id, Status.COMPLETED)
            assert row["progress"]["percent"] == 99
        seconds = time.monotonic() - began
    sweeps = [size for size in batches if size > 50]
    assert sweeps  # many jobs in one statement
    assert sum(batches) <= 100 * (seconds / 0.45 + 2)  # 10,000 reports came in


REPORTS: dict[str, tuple[Any, Any, str]] = {
    "none of it": (0, "", ""),
    "all of it": (100, "done", ""),
    "a little less than nothing": (-0.001, "", "from 0 to 100"),
    "a little too much": (100.001, "", "from 0 to 100"),
    "no number": (math.nan, "", "from 0 to 100"),
    "words": ("50", "", "from 0 to 100"),
    "a yes": (True, "", "from 0 to 100"),
    "odd words": (1, "a\x00b\ud800", ""),
    "something else": (1, 17, ""),
}


@pytest.mark.parametrize("plain", [False, True])
async def test_what_may_be_reported(stage: Stage, plain: bool) -> None:
    """0 to 100 and a text that is made storable; anything else is a ValueError in the handler, whatever kind it is."""

    def report(ctx: Context, payload: Any) -> None:
        percent, message, _ = REPORTS[payload["what"]]
        ctx.progress(percent, message)

    async def handler(ctx: Context, payload: Any) -> None:
        report(ctx, payload)

    await stage.start({"report": report if plain else handler}, concurrency=20)
    for what, (percent, _, problem) in REPORTS.items():
        job_id = await stage.submit("report", payload=msgspec.json.encode({"what": what}), max_attempts=1)
        row = await stage.reaches(job_id, Status.FAILED if problem else Status.COMPLETED)
        assert problem in (row["error"] or ""), what
        assert row["progress"] is None if problem else row["progress"]["percent"] == percent, what
    assert row["progress"]["message"] == "17"


async def test_a_long_message_is_cut(stage: Stage) -> None:
    """500 characters are shown."""

    async def handler(ctx: Context, payload: Any) -> None:
        ctx.progress(1, "x" * payload["size"])

    await stage.start({"report": handler})
    for size in (499, 500, 501):
        row = await stage.reaches(await stage.submit("report", payload=msgspec.json.encode({"size": size})), Status.COMPLETED)
        assert len(row["progress"]["message"]) == min(size, 500)


async def test_reports_wait_while_postgresql_is_away(stage: Stage) -> None:
    """The connection breaks while a handler reports: the handler feels nothing, and the last word arrives when it is back."""
    gate, reported = asyncio.Event(), asyncio.Event()

    async def handler(ctx: Context, _: Any) -> None:
        ctx.progress(10)
        reported.set()
        await gate.wait()
        ctx.progress(20, "after the outage")

    wire = await stage.wire(stage.settings.database_url)
    await stage.start({"long": handler}, database_url=wire.url, lease_seconds=30.0)
    job_id = await stage.submit("long")
    await eventually(reported.is_set, what="the first report")
    with probe.watch("heartbeat_missed") as missed:
        wire.refuse()
        gate.set()
        await eventually(lambda: len(missed) > 2, what="the outage")
    assert (await stage.row(job_id))["status"] == Status.PROCESSING
    wire.heal()
    row = await stage.reaches(job_id, Status.COMPLETED)
    assert row["progress"]["message"] == "after the outage"
