"""The stores go away in every way that they have, and come back: a consumer goes on, and no job is lost or run twice for it."""

import asyncio
from typing import Any

import pytest

from shared import probe
from shared.database import Database
from shared.jobs import Context
from shared.lifecycle import Status
from tests.support.consumer import Running, Stage
from tests.support.eventually import eventually


class Gate:
    """A handler that waits until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.attempts: list[int] = []

    async def run(self, ctx: Context, _: Any) -> str:
        """Wait."""
        self.attempts.append(ctx.attempt)
        await self.open.wait()
        return "done"


async def noop(_: Context, __: Any) -> None:
    """Succeed."""


async def works(stage: Stage, running: Running) -> None:
    """The consumer still runs and runs jobs."""
    assert not running.task.done()
    await stage.reaches(await stage.submit("noop"), Status.COMPLETED, within=20)


@pytest.mark.parametrize("fault", ["refuse", "black_hole", "reset"])
async def test_an_outage_of_redis_costs_time_only(fault: str, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job ends while Redis is away: it is settled in PostgreSQL at once, its entry is dropped later, and it runs once."""
    monkeypatch.setattr("consumer.runtime.TIMEOUT_SECONDS", 0.5)
    wire, gate = await stage.wire(stage.settings.redis_url), Gate()
    running = await stage.start({"gate": gate.run, "noop": noop}, redis_url=wire.url)
    running.consumer._broker.client.connection_pool.connection_kwargs["socket_timeout"] = 0.5
    job_id = await stage.submit("gate")
    await eventually(lambda: gate.attempts)
    getattr(wire, fault)()
    gate.open.set()
    assert (await stage.reaches(job_id, Status.COMPLETED))["result"] == "done"
    wire.heal()
    await works(stage, running)
    await eventually(stage.is_empty, within=20)
    assert gate.attempts == [1]


@pytest.mark.parametrize("fault", ["refuse", "black_hole", "reset"])
async def test_an_outage_of_postgresql_costs_time_only(fault: str, stage: Stage) -> None:
    """A job ends while PostgreSQL is away for less than the lease time: its outcome is kept and settled afterwards, it runs once."""
    wire, gate = await stage.wire(stage.settings.database_url), Gate()
    running = await stage.start({"gate": gate.run, "noop": noop}, database_url=wire.url, lease_seconds=60.0)
    for database in (*running.consumer._databases.values(), *running.consumer._settle._members):
        database._timeout = 0.5
        await database.close()
    job_id = await stage.submit("gate")
    await eventually(lambda: gate.attempts)
    with probe.watch("settling") as tries:
        getattr(wire, fault)()
        gate.open.set()
        await eventually(lambda: len(tries) > (fault != "reset"))
    wire.heal()
    assert (await stage.reaches(job_id, Status.COMPLETED))["result"] == "done"
    await works(stage, running)
    assert gate.attempts == [1]


async def test_a_failover_to_a_server_that_takes_no_writes_yet(stage: Stage) -> None:
    """Connected to a standby that is not promoted yet: every write is refused. That is an outage, not the end of the consumer."""
    running = await stage.start({"noop": noop})
    await works(stage, running)
    name = await stage.database.fetch_value("SELECT current_database()")
    await stage.database.fetch(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    await stage.database.fetch(others)
    job_id = await stage.submit("noop")
    with probe.watch("interrupted") as refused:
        await eventually(lambda: refused or running.task.done(), what="a write that was refused")
    assert not running.task.done()
    await stage.database.fetch(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await stage.database.fetch(others)
    await stage.reaches(job_id, Status.COMPLETED, within=20)
    await works(stage, running)


async def test_the_heartbeat_survives_what_it_does_not_expect(stage: Stage) -> None:
    """An error that is no outage, such as a missing right: the thread goes on, and the lease with it once that is mended."""
    running = await stage.start({"noop": noop}, lease_seconds=60.0)
    await stage.database.fetch("ALTER TABLE leases RENAME COLUMN draining TO unknown")
    [before] = await stage.database.fetch("SELECT heartbeat_at FROM leases")
    thread = running.consumer._heartbeat._thread
    with probe.watch("heartbeat_missed") as missed:
        await eventually(lambda: missed or not thread.is_alive())
    assert thread.is_alive()
    await stage.database.fetch("ALTER TABLE leases RENAME COLUMN unknown TO draining")
    other = Database(stage.settings.database_url, "other")

    async def beats() -> bool:
        return bool(await other.fetch_value("SELECT heartbeat_at > $1 FROM leases", before[0]))

    await eventually(beats)
    await other.close()
    await works(stage, running)
