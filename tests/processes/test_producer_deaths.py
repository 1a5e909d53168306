"""Producers are killed and frozen around the commit."""

import asyncio

import aiohttp
import pytest

from tests.support.eventually import eventually
from tests.support.stack import Stack


async def test_kill_between_commit_and_publish(stack: Stack) -> None:
    """Jobs that were committed by a producer that died before it told Redis run all the same."""
    first = await stack.producer(probes="committed=kill@2")
    await stack.bulk(3)
    await eventually(lambda: _in_stream(stack, 3))
    with pytest.raises(aiohttp.ClientError):
        await stack.bulk(10)
    assert await first.ended() == -9
    assert await stack.count("true") == 13
    assert await _in_stream(stack, 3)
    await stack.consumer()
    await stack.check_promise()
    assert await stack.count("status = 'COMPLETED'") == 13
    assert not stack.started_twice()


async def test_kill_before_commit(stack: Stack) -> None:
    """A producer that dies before the commit has not said that it accepted anything."""
    first = await stack.producer(probes="inserting=kill@2")
    accepted = await stack.submit()
    answers = await asyncio.gather(*(stack.submit() for _ in range(5)), return_exceptions=True)
    assert await first.ended() == -9
    assert all(isinstance(answer, aiohttp.ClientError) for answer in answers), answers
    assert [row["key"] for row in await stack.rows()] == [accepted]
    await stack.producer()
    await stack.consumer()
    await stack.submit()
    await stack.check_promise()


@pytest.mark.parametrize(("step", "committed"), [("inserting", 0), ("committed", 10)])
async def test_frozen_around_the_commit(step: str, committed: int, stack: Stack) -> None:
    """A client gives up on a producer that froze: what was committed runs before it wakes, and only once; then it takes jobs again."""
    first, _ = await asyncio.gather(stack.producer(probes=f"{step}=stop@2"), stack.consumer())
    await stack.submit()
    request = asyncio.create_task(stack.bulk(10))
    await first.frozen()
    request.cancel()
    await eventually(lambda: _completed(stack, 1 + committed), 20, "the end of what was committed")
    assert await stack.count("true") == 1 + committed
    first.cont()
    await stack.bulk(10)
    await stack.check_promise()
    assert await stack.count("true") in {11 + committed, 21}  # whoever gave up may have been heard after all
    assert not stack.started_twice()


async def test_kill_under_load(stack: Stack) -> None:
    """Of two producers on one port one is killed again and again; every 2xx stands for a job that ends."""
    await stack.up()
    async with stack.load(batch=10) as answers:
        for _ in range(2):
            other = await stack.producer()
            await stack.more_accepted(50)
            other.kill()
    assert answers[202] > 10
    await stack.check_promise()
    assert not stack.started_twice()


async def test_two_producers_share_one_port(stack: Stack) -> None:
    """The kernel spreads connections over both; one of them can leave while the other takes jobs."""
    first, *_ = await asyncio.gather(stack.producer(), stack.producer(), stack.consumer())
    async with stack.load(every=0.01) as answers:
        served: dict[str, float] = {}

        async def both_have_served() -> bool:
            facts = dict(line.rsplit(" ", 1) for line in (await stack.text("/metrics")).splitlines() if not line.startswith("#"))
            served[facts["process_start_time_seconds"]] = float(facts["millstream_jobs_submitted_total"])
            return len([count for count in served.values() if count]) == 2

        await eventually(both_have_served)
        first.terminate()
        assert await first.ended() == 0
        await stack.more_accepted(50)
    assert set(answers) <= {202, 0}  # 0: a connection that the kernel had queued for the one that left
    await stack.check_promise()


async def _in_stream(stack: Stack, count: int) -> bool:
    length: int = await stack.broker.client.xlen(stack.broker.keys.stream("normal"))
    return length == count


async def _completed(stack: Stack, count: int) -> bool:
    return await stack.count("status = 'COMPLETED'") == count
