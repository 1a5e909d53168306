"""The batcher: what comes while the last batch is on its way goes together, in order, and nothing is forgotten."""

import asyncio

import pytest

from shared.batch import Batcher, ParallelBatcher


class Sink:
    """Takes batches, each when the test lets it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Semaphore(0)

    async def flush(self, batch: list[int]) -> None:
        """Note the batch, then wait to be let on."""
        self.batches.append(batch)
        await self.gate.acquire()

    def let(self, count: int) -> None:
        """Let so many batches through."""
        for _ in range(count):
            self.gate.release()


@pytest.fixture
def sink() -> Sink:
    """A closed one."""
    return Sink()


async def settle() -> None:
    """Let everything that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_waits_goes_together_and_in_order(sink: Sink) -> None:
    """The first goes alone, at once; those that came meanwhile are one batch."""
    batcher = Batcher(sink.flush, 100)
    running = asyncio.create_task(batcher.run())
    batcher.put(1)
    await settle()
    for item in (2, 3, 4):
        batcher.put(item)
    assert len(batcher) == 3
    await settle()
    assert sink.batches == [[1]]
    sink.let(2)
    await settle()
    assert sink.batches == [[1], [2, 3, 4]]
    batcher.close()
    await running


async def test_no_batch_is_larger_than_the_limit(sink: Sink) -> None:
    """The rest follows in the next."""
    batcher = Batcher(sink.flush, 2)
    for item in range(5):
        batcher.put(item)
    batcher.close()
    sink.let(3)
    await batcher.run()
    assert sink.batches == [[0, 1], [2, 3], [4]]


async def test_closing_sends_what_is_left(sink: Sink) -> None:
    """Also what is put after `close`, as long as it runs."""
    batcher = Batcher(sink.flush, 10)
    running = asyncio.create_task(batcher.run())
    batcher.put(1)
    await settle()
    batcher.close()
    batcher.put(2)
    sink.let(2)
    await running
    assert sink.batches == [[1], [2]]
    assert len(batcher) == 0


async def test_closing_an_idle_one_ends_it(sink: Sink) -> None:
    """At once."""
    batcher = Batcher(sink.flush, 10)
    running = asyncio.create_task(batcher.run())
    await settle()
    batcher.close()
    await running
    assert sink.batches == []


async def test_drained_means_flushed(sink: Sink) -> None:
    """Not merely taken from the queue."""
    batcher = Batcher(sink.flush, 10)
    await batcher.drained()
    running = asyncio.create_task(batcher.run())
    batcher.put(1)
    waiting = asyncio.create_task(batcher.drained())
    await settle()
    assert not waiting.done()
    sink.let(1)
    await waiting
    batcher.close()
    await running


async def test_a_second_batch_begins_when_it_is_worth_it(sink: Sink) -> None:
    """Two items do not pay for a batch of their own, three do; a third batch waits until one of the two is done."""
    batcher = ParallelBatcher(sink.flush, 3, most=2, worth=3)
    running = asyncio.create_task(batcher.run())
    batcher.put(1)
    await settle()
    batcher.put_all([2, 3])
    await settle()
    assert sink.batches == [[1]]
    batcher.put_all([4, 5, 6, 7])
    await settle()
    assert sink.batches == [[1], [2, 3, 4]]
    sink.let(1)
    await settle()
    assert sink.batches == [[1], [2, 3, 4], [5, 6, 7]]
    sink.let(2)
    batcher.close()
    await running


async def test_batches_that_run_together_are_drained_when_all_are_done(sink: Sink) -> None:
    """Not when the first of them is; and what waits at the end is sent before `run` ends."""
    batcher = ParallelBatcher(sink.flush, 2, most=2, worth=1)
    running = asyncio.create_task(batcher.run())
    batcher.put_all([1, 2, 3, 4, 5])
    drained = asyncio.create_task(batcher.drained())
    batcher.close()
    sink.let(2)
    await settle()
    assert sink.batches == [[1, 2], [3, 4], [5]]
    assert not drained.done()
    assert not running.done()
    sink.let(1)
    await asyncio.gather(drained, running)


async def test_a_flush_that_fails_ends_a_parallel_run() -> None:
    """As it ends that of any other batcher: nothing is swallowed."""

    async def fail(_: list[int]) -> None:
        raise ZeroDivisionError

    batcher = ParallelBatcher(fail, 2, most=2, worth=1)
    batcher.put(1)
    with pytest.raises(ExceptionGroup) as caught:
        await batcher.run()
    assert caught.group_contains(ZeroDivisionError)
