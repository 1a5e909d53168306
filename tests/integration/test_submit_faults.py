"""Group commit under faults: an unknown outcome is made known by its ids, a key makes one job, a bad row fails alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Raw

from chaos.proxy import Proxy, proxied
from producer.problems import ProblemError
from producer.publisher import Publisher
from producer.submit import Submitter
from shared import probe
from shared.broker import Broker
from shared.database import Database
from shared.ids import new_id
from shared.job_store import JobStore
from shared.models import NewJob
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.make import raw


@pytest.fixture
async def wire(settings: Settings) -> AsyncIterator[Proxy]:
    """The producer's way to PostgreSQL."""
    async with proxied(settings.database_url) as proxy:
        yield proxy


@asynccontextmanager
async def submitting(settings: Settings, broker: Broker, url: str) -> AsyncIterator[Submitter]:
    """A submitter that runs, as in a producer process."""
    database = Database(url, "submit", timeout=0.5)
    publisher = Publisher(broker)
    submitter = Submitter(settings, JobStore(database), publisher)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(submitter.run())
        tasks.create_task(publisher.run())
        yield submitter
        submitter.close()
        publisher.close()
    await database.close()


def job(**fields: Any) -> NewJob:
    """Return a job to submit."""
    return NewJob(**{"id": new_id(), "type": "test.noop", "payload": Raw(b"{}")} | raw(fields))


def keyed(key: str, body: bytes = b"1") -> NewJob:
    """Return a job with an idempotency key."""
    return job(idempotency_key=key, fingerprint=body)


async def count(database: Database) -> int:
    """Return the number of jobs."""
    return int(await database.fetch_value("SELECT count(*) FROM jobs"))


@pytest.mark.parametrize("reset", [False, True], ids=["silence", "reset"])
async def test_an_insert_of_unknown_outcome_makes_one_row(
    reset: bool, settings: Settings, broker: Broker, wire: Proxy, database: Database
) -> None:
    """PostgreSQL commits and its answer is lost: the same ids are sent again, the client hears of success, and there is one job."""
    async with submitting(settings, broker, wire.url) as submitter:
        await submitter.submit([job()])  # prepares the statement: what follows are its arguments alone
        new = job()
        with probe.watch("inserting") as inserts:
            wire.drop_reply(new.id.encode(), reset=reset)
            assert await submitter.submit([new]) == {}
        assert wire.reply_dropped.is_set()
        assert len(inserts) == 2
    assert await count(database) == 2
    assert await database.fetch_value("SELECT sum(n)::int FROM job_counts") == 2


@pytest.mark.parametrize("reset", [False, True], ids=["silence", "reset"])
async def test_a_commit_of_unknown_outcome_keeps_its_key(
    reset: bool, settings: Settings, broker: Broker, wire: Proxy, database: Database
) -> None:
    """The answer to COMMIT is lost: the second try finds its own key and its own job, and does not take itself for a rival."""
    async with submitting(settings, broker, wire.url) as submitter:
        new = keyed("order-1")
        wire.drop_reply(b"COMMIT", reset=reset)
        assert await submitter.submit([new]) == {}
        assert wire.reply_dropped.is_set()
        again = keyed("order-1")
        assert await submitter.submit([again]) == {again.id: new.id}
    assert await count(database) == 1
    assert (await broker.depths())["normal"] == 1, "it is published as well"


async def test_a_submit_that_gets_no_answer_in_time_is_refused_and_safe_to_repeat(
    settings: Settings, broker: Broker, wire: Proxy, database: Database
) -> None:
    """503 after the time limit, not a hang; the same request later is stored once."""
    async with submitting(replace(settings, submit_timeout_seconds=1.0), broker, wire.url) as submitter:
        new = keyed("order-1")
        wire.black_hole()
        with pytest.raises(ProblemError) as caught:
            await submitter.submit([new])
        assert caught.value.status == 503
        wire.heal()
        await submitter.submit([new])
    assert await count(database) == 1


async def test_an_outage_within_the_time_limit_is_not_noticed(settings: Settings, broker: Broker, wire: Proxy, database: Database) -> None:
    """PostgreSQL is restarted: those who wait are answered when it is back, each job is stored once."""
    async with submitting(settings, broker, wire.url) as submitter:
        await submitter.submit([job()])
        wire.refuse()
        with probe.watch("inserting") as inserts:
            waiting = [asyncio.create_task(submitter.submit([job()])) for _ in range(20)]
            await eventually(lambda: len(inserts) >= 3)
            wire.heal()
            assert await asyncio.gather(*waiting) == [{}] * 20
    assert await count(database) == 21


async def test_a_hundred_posts_of_one_key_make_one_job(settings: Settings, broker: Broker, database: Database) -> None:
    """Four producers, 25 requests each, all at once: every answer names the same job."""
    async with (
        submitting(settings, broker, settings.database_url) as first,
        submitting(settings, broker, settings.database_url) as second,
        submitting(settings, broker, settings.database_url) as third,
        submitting(settings, broker, settings.database_url) as fourth,
    ):
        new = [keyed("order-1") for _ in range(100)]
        doors = [(first, second, third, fourth)[n % 4] for n in range(100)]
        answers = await asyncio.gather(*(door.submit([item]) for door, item in zip(doors, new, strict=True)))
    named = {answer.get(item.id, item.id) for answer, item in zip(answers, new, strict=True)}
    assert len(named) == 1
    assert await count(database) == 1
    assert await database.fetch_value("SELECT id::text FROM jobs") == named.pop()


async def test_a_rivals_key_that_is_committed_meanwhile_is_found(settings: Settings, database: Database) -> None:
    """ON CONFLICT waits for the rival; a UNION in the same statement would not see what it committed, a second statement does."""
    rival, mine = Database(settings.database_url, "rival"), Database(settings.database_url, "mine")
    theirs = new_id()

    async def waits_for_the_rival() -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return bool(await database.fetch_value(query))

    async with rival.transaction() as transaction:
        query = "INSERT INTO idempotency_keys VALUES ('order-1', '1', $1, now() + interval '1 day')"
        await transaction.fetch(query, theirs)
        waiting = asyncio.create_task(JobStore(mine).submit_keyed([keyed("order-1")], 60.0, lambda _: None))
        await eventually(waits_for_the_rival)
    assert await waiting == ([], {"order-1": (b"1", theirs)})
    assert await count(database) == 0
    await rival.close()
    await mine.close()


async def test_one_bad_row_does_not_fail_its_batch(settings: Settings, broker: Broker, database: Database) -> None:
    """Thirty requests in one insert, one of them with what PostgreSQL refuses: 29 are stored, one is told why not."""
    async with submitting(settings, broker, settings.database_url) as submitter:
        bad = 17
        new = [job(queue="a\x00b") if n == bad else job() for n in range(30)]
        answers = await asyncio.gather(*(submitter.submit([item]) for item in new), return_exceptions=True)
    for n, answer in enumerate(answers):
        assert (answer == {}) == (n != bad), answer
    refusal = answers[bad]
    assert isinstance(refusal, ProblemError)
    assert refusal.status == 422
    assert await count(database) == 29


async def test_one_bad_keyed_row_does_not_fail_its_batch(settings: Settings, broker: Broker, database: Database) -> None:
    """The same with idempotency keys: the refused job leaves no key behind, so that a corrected one can be sent."""
    async with submitting(settings, broker, settings.database_url) as submitter:
        bad = job(idempotency_key="k7", fingerprint=b"1", max_attempts=2**40)
        new = [bad if n == 7 else keyed(f"k{n}") for n in range(20)]
        answers = await asyncio.gather(*(submitter.submit([item]) for item in new), return_exceptions=True)
        assert [n for n, answer in enumerate(answers) if answer != {}] == [7]
        assert await submitter.submit([keyed("k7", b"2")]) == {}
    assert await count(database) == 20


async def test_what_is_committed_is_published(settings: Settings, broker: Broker) -> None:
    """Each to its stream or, when it is due within the hour, to the ZSET; what is due later costs Redis nothing."""
    async with submitting(settings, broker, settings.database_url) as submitter:
        await submitter.submit([job(priority="high"), job(), job(delay=60.0), job(delay=7200.0)])
    depths = await broker.depths()
    assert (depths["high"], depths["normal"], depths["low"], depths["delayed"]) == (1, 1, 0, 1)
