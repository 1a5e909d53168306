"""Schedules with real consumers that die: one job a tick, no tick without one."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from tests.processes.conftest import Servers
from tests.support.eventually import eventually
from tests.support.stack import Stack

SECOND = timedelta(seconds=1)
SCHEDULES = 20
TICKS = 200


async def put(stack: Stack, name: str, **fields: Any) -> None:
    """Put a schedule that has to be accepted."""
    async with stack._http.put(f"/schedules/{name}", json={"type": "recorded"} | fields) as answer:
        assert answer.status in {200, 201}, await answer.text()


async def pause_all(stack: Stack) -> None:
    """From here on no tick comes any more."""
    await stack.database.fetch("UPDATE schedules SET paused = true")


async def runs(stack: Stack) -> dict[str, list[datetime]]:
    """Return the ticks that have jobs, by schedule, oldest first; what they made is what the promise is checked for."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for row in await stack.database.fetch("SELECT schedule, tick, job_id::text FROM schedule_runs ORDER BY tick"):
        found[row["schedule"]].append(row["tick"])
        stack.accepted.add(row["job_id"])
    return found


async def count(stack: Stack) -> int:
    """Return how many ticks have jobs."""
    return sum(map(len, (await runs(stack)).values()))


async def more(stack: Stack, ticks: int, within: float = 40.0) -> None:
    """Wait for so many more ticks."""
    goal = await count(stack) + ticks

    async def there() -> bool:
        return await count(stack) >= goal

    await eventually(there, within, f"{ticks} more ticks")


async def test_two_consumers_one_of_which_dies(stack: Stack) -> None:
    """Twenty schedules tick every second in two consumers; one is killed half-way. Every tick has its job, which runs once."""
    _, doomed = await stack.up(consumers=2)
    for number in range(SCHEDULES):
        await put(stack, f"s{number}", every=1)
    await more(stack, TICKS // 2)
    doomed.kill()
    await more(stack, TICKS // 2)
    await pause_all(stack)
    await stack.check_promise()
    for ticks in (await runs(stack)).values():
        assert ticks == [ticks[0] + number * SECOND for number in range(len(ticks))], "no tick is left out"
    assert await count(stack) == await stack.count("status = 'COMPLETED'") == await stack.count("true")
    assert stack.started_twice() <= {row["key"] for row in await stack.rows() if row["crashes"]}


async def test_death_between_commit_and_publish(stack: Stack) -> None:
    """The scheduler dies when its job is committed and nobody knows of it: another's reconciler publishes it, and it runs once."""
    await stack.producer()
    doomed = await stack.consumer("--only", "scheduler", probes="scheduled=kill")
    now = await stack.database.fetch_value("SELECT now()")
    await put(stack, "once", at=(now + SECOND).isoformat())
    await doomed.ended()
    assert await count(stack) == 1
    assert await stack.broker.client.xlen(stack.broker.keys.base) == 0
    await stack.consumer()
    await stack.check_promise()
    assert await stack.count("status = 'COMPLETED' AND attempts = 1") == 1
    assert len(stack.events("start")) == 1


async def test_a_scheduler_that_freezes_with_a_schedule_locked(stack: Stack) -> None:
    """It holds the tick for some seconds, not for ever: another makes the job, and the frozen one finds its transaction gone."""
    await stack.producer()
    frozen = await stack.consumer("--only", "scheduler", probes="ticking=stop", lease_seconds=60)
    now = await stack.database.fetch_value("SELECT now()")
    await put(stack, "once", at=(now + SECOND).isoformat())
    await frozen.frozen()
    await stack.consumer()
    await more(stack, 1)
    frozen.cont()
    await frozen.says('"service":"scheduler"')
    await stack.check_promise()
    assert await count(stack) == await stack.count("status = 'COMPLETED' AND attempts = 1") == await stack.count("true") == 1


async def test_an_outage_of_every_scheduler(stack: Stack) -> None:
    """Nobody runs for longer than the grace: one job stands for all that was missed, then the schedule is in step again."""
    await stack.producer()
    first = await stack.consumer()
    await put(stack, "s", every=1)
    await more(stack, 2)
    first.terminate()
    await first.ended()
    before = (await runs(stack))["s"]
    gap = "SELECT now() - max(tick) > interval '8 seconds' FROM schedule_runs"
    await eventually(lambda: stack.database.fetch_value(gap), 20, "an outage")
    await stack.consumer("--only", "worker,scheduler,reaper,reconciler")
    await more(stack, 4)
    await pause_all(stack)
    await stack.check_promise()
    after = (await runs(stack))["s"][len(before) :]
    assert after[0] - before[-1] > 7 * SECOND
    assert after == [after[0] + number * SECOND for number in range(len(after))]
    skipped = await stack.database.fetch_value("SELECT skipped_count FROM schedules")
    assert skipped == (after[0] - before[-1]) // SECOND - 1


async def test_postgres_is_restarted(fragile: Stack, servers: Servers) -> None:
    """What comes due while PostgreSQL is down is made when it is back; two consumers then make no tick twice."""
    await fragile.up(consumers=2)
    await put(fragile, "s", every=1, misfire="catch_up(1000)")
    await more(fragile, 2)
    servers.postgres.kill()
    for process in fragile.processes[1:]:
        await process.says('"service":"scheduler"')
    servers.postgres.start()
    await more(fragile, 4)
    await pause_all(fragile)
    await fragile.check_promise(lost_claims=True)
    ticks = (await runs(fragile))["s"]
    assert ticks == [ticks[0] + number * SECOND for number in range(len(ticks))]
    assert len(ticks) == await fragile.count("true")
