"""Whatever a stranger puts into our streams ends in the DLQ, and nothing gets stuck."""

import asyncio
from typing import Any

import pytest

from consumer import triage
from shared import probe
from shared.ids import new_id
from shared.jobs import Context
from shared.lifecycle import Status
from tests.support.consumer import Stage
from tests.support.eventually import eventually

NOWHERE = "01900000-0000-7000-8000-000000000000"

FOREIGN: dict[str, dict[str, str | bytes]] = {
    "an id that no job has": {"id": NOWHERE},
    "an id that is none": {"id": "not-a-uuid"},
    "no id": {"job": NOWHERE, "payload": "{}"},
    "binary": {b"\x00\xff": b"\xfe\x00"},  # type: ignore[dict-item]
    "an id in binary": {"id": b"\xff" * 36},
    "an empty id": {"id": ""},
    "an id of 1 MB": {"id": "x" * 1_000_000},
    "an id that looks like one": {"id": "{1900000-0000-7000-8000-00000000000}"},
}


async def noop(_: Context, __: Any) -> None:
    """Succeed."""


@pytest.mark.parametrize("what", FOREIGN)
async def test_a_foreign_entry_goes_to_the_dlq_with_the_reason(what: str, stage: Stage) -> None:
    """A job submitted before and one after it complete; the entry is a letter with reason unknown_job that names its place."""
    before = await stage.submit("noop")
    entry_id = await stage.add_entry(FOREIGN[what])
    after = await stage.submit("noop")
    await stage.start({"noop": noop})
    await stage.reaches(before, Status.COMPLETED)
    await stage.reaches(after, Status.COMPLETED)
    [letter] = await eventually(stage.letters)
    assert letter["reason"] == "unknown_job"
    assert entry_id in letter["error"]
    assert letter["id"] == (NOWHERE if what == "an id that no job has" else "")


async def test_a_foreign_entry_of_a_dead_worker_goes_there_too(stage: Stage) -> None:
    """The reaper meets it instead of a worker."""
    for fields in FOREIGN.values():
        await stage.add_entry(fields, "low")
    assert len(await stage.broker.take("dead", 100)) == len(FOREIGN)
    await stage.start({"noop": noop}, lease_seconds=1.0, heartbeat_seconds=0.2)
    await eventually(stage.is_empty)
    assert [letter["reason"] for letter in await stage.letters()] == ["unknown_job"] * len(FOREIGN)


async def test_an_entry_may_name_its_job_in_capitals(stage: Stage) -> None:
    """The same UUID, written otherwise, is the same job."""
    await stage.start({"noop": noop})
    [job_id] = [await stage.submit("noop", delay=3600.0)]
    await stage.database.fetch("UPDATE jobs SET run_at = now() WHERE id = $1", job_id)
    await stage.broker.client.delete(stage.broker.keys.delayed)
    await stage.add_entry({"id": job_id.upper()})
    await stage.reaches(job_id, Status.COMPLETED)


async def test_more_entries_of_one_job_run_it_once(stage: Stage) -> None:
    """Entries are hints: of five, in three streams, before, while and after the job runs, one leads to a run."""
    gate, runs = asyncio.Event(), []

    async def count(ctx: Context, _: Any) -> None:
        runs.append(ctx.job_id)
        await gate.wait()

    job_id = await stage.submit("count")
    for priority in ("high", "normal", "low"):
        await stage.add_entry({"id": job_id}, priority)
    with probe.watch("triaged") as triaged:
        await stage.start({"count": count})
        await stage.start({"count": count})
        await eventually(lambda: runs)
        await stage.add_entry({"id": job_id})
        await eventually(lambda: sum(len(pile) for piles in triaged for pile in piles.values()) >= 4)
        gate.set()
        row = await stage.reaches(job_id, Status.COMPLETED)
        await stage.add_entry({"id": job_id})
        await eventually(stage.is_empty)
    assert runs == [job_id]
    assert row["attempts"] == 1


async def test_an_entry_that_comes_too_early_waits_for_its_time(stage: Stage) -> None:
    """An entry of a job that is due later goes to the ZSET; the row alone says when a job may run."""
    stage.leftovers = True
    await stage.start({"noop": noop})
    job_id = await stage.submit("noop", delay=60.0)
    await stage.broker.client.delete(stage.broker.keys.delayed)
    await stage.add_entry({"id": job_id})

    async def put_off() -> float | None:
        return await stage.broker.client.zscore(stage.broker.keys.delayed, job_id)  # type: ignore[no-any-return]

    score = await eventually(put_off)
    due = await stage.database.fetch_value("SELECT extract(epoch FROM run_at)::double precision FROM jobs WHERE id = $1", job_id)
    assert score == pytest.approx(due, abs=0.5)
    assert (await stage.row(job_id))["status"] == Status.SCHEDULED


async def test_a_type_that_nobody_here_knows_is_put_off_without_spinning(stage: Stage) -> None:
    """It waits for a worker that knows it; meanwhile nobody reads its entry again and again."""
    stage.leftovers = True
    with probe.watch("triaged") as triaged:
        await stage.start({"noop": noop})
        job_id = await stage.submit("mystery")

        async def waits() -> bool:
            return (await stage.broker.depths())["delayed"] == 1

        await eventually(waits)
        for _ in range(20):
            await stage.reaches(await stage.submit("noop"), Status.COMPLETED)
    assert len(triaged) == 1
    row = await stage.row(job_id)
    assert (row["status"], row["attempts"]) == (Status.PENDING, 0)
    assert 10 < (row["run_at"] - row["updated_at"]).total_seconds() < 20


async def test_a_type_is_run_by_the_worker_that_knows_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers with different types share the streams: each job gets to the right one in the end."""
    monkeypatch.setitem(triage._DEFERRED, triage.Verdict.DEFER, 0.1)
    await stage.start({"noop": noop})
    await stage.start({"other": noop})
    ids = [await stage.submit(kind) for kind in ("noop", "other") * 5]
    for job_id in ids:
        assert (await stage.reaches(job_id, Status.COMPLETED))["attempts"] == 1


async def test_a_job_in_the_zset_that_nobody_knows_is_a_stranger_too(stage: Stage) -> None:
    """Promoted like any other, then found to be nobody's."""
    await stage.start({"noop": noop})
    await stage.broker.client.zadd(stage.broker.keys.delayed, {new_id(): 0, "rubbish": 1, b"\xff:high": 2})
    await eventually(lambda: _letters(stage, 3))


async def _letters(stage: Stage, count: int) -> bool:
    return [letter["reason"] for letter in await stage.letters()] == ["unknown_job"] * count
