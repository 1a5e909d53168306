"""Whether memory stays flat: of producer and consumer over many jobs, and of Redis after a drain."""

from loadtest.figures.bulk import bulk_body, queue
from loadtest.figures.drain import drained
from loadtest.figures.figure import Figure
from loadtest.processes import resident_mb
from loadtest.stack import Stack
from loadtest.stats import Sample

HEADLINE = "Redis MB left after the drain"


def _ours(stack: Stack) -> Sample:
    stack.fresh()
    return _left(stack) | _resident(stack)


def _left(stack: Stack) -> Sample:
    count = stack.sizes.memory_queued
    before = stack.valkey.used_bytes()
    queue(stack, count)
    stack.start_consumer()
    drained(stack, count)
    stack.stop_consumers()
    return {HEADLINE: (stack.valkey.used_bytes() - before) / 1e6}


def _resident(stack: Stack) -> Sample:
    """Run jobs in two steps, from fresh processes on, and read memory after each."""
    stack.fresh()
    consumer = stack.start_consumer()
    done, sample = 0, Sample()
    for total in stack.sizes.memory_jobs:
        _run(stack, total - done)
        done = total
        drained(stack, total)
        sample[f"producer MB after {total:,}"] = resident_mb(stack.producers[0])
        sample[f"consumer MB after {total:,}"] = resident_mb(consumer)
    return sample


def _run(stack: Stack, count: int) -> None:
    requests = count // stack.sizes.bulk_jobs
    stack.post_load("/jobs/bulk", bulk_body(stack.sizes.bulk_jobs), connections=stack.sizes.bulk_connections, count=requests)


MEMORY = Figure(
    name="memory",
    title="memory of millstream after many jobs",
    method="Resident memory of producer and consumer after two amounts of jobs, counted from their start: equal means flat.",
    headline=HEADLINE,
    contenders=lambda bench: {"millstream": lambda: _ours(bench.stack)},
    max_rounds=1,
)
