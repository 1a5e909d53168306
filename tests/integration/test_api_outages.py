"""PostgreSQL or Redis fail in every way that networks know: never a false 2xx, never a lost job, never a silent client."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chaos.proxy import Proxy, proxied
from producer.app import Producer
from shared import probe
from shared.broker import Broker
from shared.database import Database
from shared.settings import Settings
from tests.integration.test_api_bulk import stored
from tests.support.eventually import eventually
from tests.support.producer import Answer, Api, client, running

LIMIT_SECONDS = 0.6
SLACK_SECONDS = 1.0  # of a busy machine, and of the watch that looks five times a second


@dataclass
class Shaky:
    """A producer whose wires can be broken."""

    api: Api
    process: Producer
    postgres: Proxy
    redis: Proxy

    async def timed(self, **fields: object) -> tuple[Answer, float]:
        """Submit; return the answer and the seconds that it took."""
        began = time.monotonic()
        answer = await self.api.submit(**fields)
        return answer, time.monotonic() - began


@pytest.fixture
async def shaky(settings: Settings, broker: Broker, catalog: None) -> AsyncIterator[Shaky]:
    """Short time limits, and a proxy before each server."""
    del broker, catalog
    async with proxied(settings.database_url) as postgres, proxied(settings.redis_url) as redis:
        bent = replace(settings, database_url=postgres.url, redis_url=redis.url, submit_timeout_seconds=LIMIT_SECONDS)
        async with running(bent) as process, client(bent) as api:
            await api.submitted(payload={"warm": "up"})
            yield Shaky(api, process, postgres, redis)
            postgres.heal()
            redis.heal()


@pytest.mark.parametrize("fault", ["refuse", "black_hole"])
async def test_without_postgresql_submits_are_refused_in_time(shaky: Shaky, fault: str) -> None:
    """503 with Retry-After within the limit, for those at the front and those that come while these wait; then all is well again."""
    getattr(shaky.postgres, fault)()
    first = [asyncio.create_task(shaky.timed()) for _ in range(5)]
    keyed = [asyncio.create_task(shaky.timed(idempotency_key=f"k{n}")) for n in range(5)]
    await eventually(lambda: shaky.process._submitter._waiting == 10 or any(task.done() for task in first))
    later = [asyncio.create_task(shaky.timed(payload={"n": n})) for n in range(5)]
    for answer, seconds in await asyncio.gather(*first, *keyed, *later):
        answer.problem(503)
        assert int(answer.headers["Retry-After"]) >= 1
        assert seconds < LIMIT_SECONDS + SLACK_SECONDS
    shaky.postgres.heal()
    assert (await eventually(lambda: _accepted(shaky.api))).json["status"] == "PENDING"


async def _accepted(api: Api) -> Any:
    answer = await api.submit()
    return answer if answer.status == 202 else None


async def test_who_was_refused_is_not_stored_later(shaky: Shaky, database: Database) -> None:
    """A request that never reached PostgreSQL and got its 503 must not turn up as a job after the outage."""
    shaky.postgres.black_hole()
    first = asyncio.create_task(shaky.api.submit())
    await eventually(lambda: shaky.process._submitter._waiting == 1)
    behind = [asyncio.create_task(shaky.api.submit(payload={"behind": n})) for n in range(5)]
    assert {(await task).status for task in (first, *behind)} == {503}
    shaky.postgres.heal()
    await eventually(lambda: _accepted(shaky.api))
    assert await database.fetch_value("SELECT count(*) FROM jobs WHERE payload::text LIKE '%behind%'") == 0


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("key", [None, "k"])
async def test_an_unknown_outcome_becomes_exactly_one_row(shaky: Shaky, database: Database, key: str | None, reset: bool) -> None:
    """The answer of the commit is lost: the same ids are sent again, so the job is there once, and a 202 is true."""
    marker = "the-answer-is-lost"
    shaky.postgres.drop_reply(marker.encode(), reset=reset)
    answer = await shaky.api.submit(payload={"text": marker}, idempotency_key=key)
    assert shaky.postgres.reply_dropped.is_set()
    assert answer.status == (202 if reset else 503)
    await eventually(lambda: _accepted(shaky.api))
    rows = await database.fetch("SELECT id::text FROM jobs WHERE payload::text LIKE '%' || $1 || '%'", marker)
    if reset:
        assert [row[0] for row in rows] == [answer.json["id"]]
    else:
        assert len(rows) <= 1
        assert "idempotency key" in answer.problem(503)["detail"]
    if key:
        again = await shaky.api.submit(payload={"text": marker}, idempotency_key=key)
        assert again.status in {200, 202}
        assert await database.fetch_value("SELECT count(*) FROM jobs WHERE payload::text LIKE '%' || $1 || '%'", marker) == 1


async def test_a_hundred_posts_over_a_wire_that_breaks_are_true(shaky: Shaky, database: Database) -> None:
    """Cut again and again under load: every 202 has its row, and no row is there twice."""
    with probe.on("inserting", _cutting(shaky.postgres)):
        answers = await asyncio.gather(*(shaky.api.submit(payload={"load": n}) for n in range(100)))
    assert {answer.status for answer in answers} <= {202, 503}
    rows = await database.fetch("SELECT id::text, payload::text FROM jobs WHERE payload::text LIKE '%load%'")
    assert {answer.json["id"] for answer in answers if answer.status == 202} <= {row[0] for row in rows}
    assert len({row[1] for row in rows}) == len(rows)


def _cutting(proxy: Proxy) -> probe.Action:
    """Cut the wire just before every second of the first inserts, and once in the midst of one."""
    count = 0

    def cut(_: object) -> None:
        nonlocal count
        count += 1
        if count in {1, 3}:
            proxy.reset()
        elif count == 2:
            proxy.drop_reply(b"load", reset=True)

    return cut


async def test_reads_do_not_hang_behind_each_other(shaky: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent PostgreSQL: forty readers of four connections get their 503 after about one time limit, not after ten."""
    for member in shaky.process._readers._members:
        monkeypatch.setattr(member, "_timeout", 0.3)
        if member._connection:
            await member.close()
    shaky.postgres.black_hole()
    began = time.monotonic()
    answers = await asyncio.gather(*(shaky.api.get("/jobs") for _ in range(40)))
    for answer in answers:
        answer.problem(503)
    assert time.monotonic() - began < 0.3 * 3 + SLACK_SECONDS


async def test_a_silent_redis_keeps_no_probe_waiting(shaky: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are accepted without it, so a health check that gives up after a few seconds must hear that; statistics come, too."""
    monkeypatch.setattr("producer.queue_api.REDIS_SECONDS", 0.3)
    shaky.redis.black_hole()
    began = time.monotonic()
    degraded = await shaky.api.get("/readyz")
    assert (degraded.status, degraded.json["status"]) == (200, "degraded")
    assert (await shaky.api.get("/jobs/stats")).json["dispatch"] is None
    assert time.monotonic() - began < 2 * 0.3 + SLACK_SECONDS


async def test_probes_tell_what_is_down(shaky: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alive always; ready as long as PostgreSQL answers; degraded without Redis."""
    monkeypatch.setattr("producer.queue_api.READY_SECONDS", 0.5)
    assert (await shaky.api.get("/readyz")).json == {"status": "ok", "postgres": "ok", "redis": "ok"}
    shaky.redis.refuse()
    degraded = await shaky.api.get("/readyz")
    assert (degraded.status, degraded.json["status"]) == (200, "degraded")
    assert (await shaky.api.get("/jobs/stats")).json["dispatch"] is None
    for fault in (shaky.postgres.refuse, shaky.postgres.black_hole):
        fault()
        answer = await shaky.api.get("/readyz")
        assert answer.headers["Retry-After"]
        assert "PostgreSQL" in answer.problem(503)["detail"]
        assert (await shaky.api.get("/livez")).json == {"status": "ok"}
        shaky.postgres.heal()
    shaky.redis.heal()
    await eventually(lambda: _is_ready(shaky.api))


async def _is_ready(api: Api) -> bool:
    answer = await api.get("/readyz")
    return bool(answer.status == 200 and answer.json["status"] == "ok")


async def test_without_redis_jobs_are_accepted_and_published_later(shaky: Shaky, broker: Broker) -> None:
    """202 means committed; the stream gets the ids as soon as it is back, without a reconciler."""
    await eventually(lambda: _published(broker, 1))
    shaky.redis.refuse()
    answers = await asyncio.gather(*(shaky.api.submit(priority="high") for _ in range(20)))
    assert {answer.status for answer in answers} == {202}
    assert (await broker.depths())["high"] == 0
    shaky.redis.heal()
    await eventually(lambda: _published(broker, 21))
    held = {fields[b"id"].decode() for _, fields in await broker.client.xrange(broker.keys.stream("high"))}
    assert held == {answer.json["id"] for answer in answers}


async def _published(broker: Broker, count: int) -> bool:
    depths = await broker.depths()
    return sum(depths[name] for name in ("high", "normal", "low")) == count


async def test_retry_and_cancel_without_redis(shaky: Shaky) -> None:
    """What only PostgreSQL decides goes on."""
    job_id = await shaky.api.submitted()
    shaky.redis.refuse()
    assert (await shaky.api.post(f"/jobs/{job_id}/cancel")).status == 200
    assert (await shaky.api.post(f"/jobs/{job_id}/retry")).status == 202


async def test_a_backlog_that_cannot_be_measured_refuses_nobody(
    settings: Settings, broker: Broker, catalog: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is down: the limit is unknown, and what is committed now is published later."""
    del catalog
    monkeypatch.setattr("producer.backlog.REFRESH_SECONDS", 0.1)
    async with proxied(settings.redis_url) as redis:
        limited = replace(settings, redis_url=redis.url, max_backlog=1)
        async with running(limited) as process, client(limited) as api:
            await api.submitted()
            await eventually(lambda: process._backlog._count == 1)
            assert (await api.submit()).status == 429
            redis.refuse()
            await eventually(lambda: process._backlog._count == 0)
            assert (await api.submit()).status == 202
            redis.heal()
            await eventually(lambda: _published(broker, 2))


async def test_an_unknown_type_while_postgresql_is_down(shaky: Shaky) -> None:
    """A bulk of 1,000 unknown types looks once, not a thousand times, into a catalog that does not answer."""
    shaky.process._catalog._looked_at = float("-inf")
    shaky.postgres.refuse()
    answer = await shaky.api.post("/jobs/bulk", [{"type": "nobody.knows"}] * 1000)
    assert len(answer.problem(422)["errors"]) == 1000


async def test_a_producer_that_starts_without_postgresql(settings: Settings, database: Database, broker: Broker, catalog: None) -> None:
    """It serves probes and refusals, and works as soon as PostgreSQL is there."""
    del broker, catalog
    async with proxied(settings.database_url) as postgres:
        postgres.refuse()
        bent = replace(settings, database_url=postgres.url, submit_timeout_seconds=LIMIT_SECONDS)
        async with running(bent, ready=False), client(bent) as api:
            assert (await api.get("/livez")).status == 200
            (await api.get("/readyz")).problem(503)
            assert (await api.submit()).headers["Retry-After"]
            (await api.submit()).problem(503)
            postgres.heal()
            await eventually(lambda: _accepted(api))
    assert await database.fetch_value("SELECT count(*) FROM jobs") == 1


async def test_an_error_that_nobody_foresaw_ends_nothing(api: Api, database: Database) -> None:
    """The table is gone, or a constraint refuses: those requests get a 503 or 422 with a reason, the next ones their 202."""
    await database.fetch("ALTER TABLE jobs RENAME TO hidden")
    for answer in await asyncio.gather(*(api.submit(idempotency_key=key) for key in (None, "k"))):
        assert "PostgreSQL" in answer.problem(503)["detail"]
    await database.fetch("ALTER TABLE hidden RENAME TO jobs")
    assert (await api.submit()).status == 202
    await database.fetch("ALTER TABLE jobs ADD CONSTRAINT no_odd CHECK (payload::text <> '{\"n\": 3}')")
    for prefix in (None, "b"):
        answers = await asyncio.gather(*(api.submit(payload={"n": n}, idempotency_key=prefix and f"{prefix}{n}") for n in range(9)))
        assert [answer.status for answer in answers] == [422 if n == 3 else 202 for n in range(9)]
    assert await stored(api) - 17 in {0, 1, 2}  # of the two 503s nobody knew, as their answers say


async def test_a_server_that_became_read_only_is_unavailable(api: Api, database: Database) -> None:
    """After a failover the old primary refuses writes: 503, and 202 once a writable one answers."""
    name = await database.fetch_value("SELECT current_database()")
    await database.fetch(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await database.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millstream submit'")
    answer = asyncio.create_task(api.submit())
    await eventually(lambda: _read_only_was_met(database))
    await database.fetch("SET default_transaction_read_only = off")
    await database.fetch(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    assert (await answer).status in {202, 503}
    await eventually(lambda: _accepted(api))


async def _read_only_was_met(database: Database) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millstream submit' AND datname = current_database()"
    return bool(await database.fetch_value(query))
