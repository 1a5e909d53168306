"""Whether memory stays flat, and what a queued job costs in Redis."""

from collections.abc import Mapping

from loadtest.figures.bulk import bulk_body, queue
from loadtest.figures.drain import drained
from loadtest.figures.figure import Bench, Figure
from loadtest.peers import Peer
from loadtest.processes import resident_mb
from loadtest.rounds import Contender
from loadtest.stack import Stack
from loadtest.stats import Sample

HEADLINE = "Redis bytes a queued job"


def _ours(stack: Stack) -> Sample:
    stack.fresh()
    return _queued(stack) | _resident(stack)


def _queued(stack: Stack) -> Sample:
    count = stack.sizes.memory_queued
    before = stack.valkey.used_bytes()
    queue(stack, count)
    queued = stack.valkey.used_bytes()
    stack.start_consumer()
    drained(stack, count)
    stack.stop_consumers()
    return {
        HEADLINE: (queued - before) / count,
        "Redis MB left after the drain": (stack.valkey.used_bytes() - before) / 1e6,
    }


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


def _theirs(stack: Stack, peer: Peer, command: list[str]) -> Sample:
    count = stack.sizes.memory_queued
    stack.empty()
    before = stack.valkey.used_bytes()
    peer.fill(command, stack.peer_env(), count, stack.children)
    queued = stack.valkey.used_bytes()
    result = peer.drain(command, stack.peer_env(), count, stack.children)
    return {
        HEADLINE: (queued - before) / count,
        "Redis MB left after the drain": (stack.valkey.used_bytes() - before) / 1e6,
        f"worker MB after {count:,}": result.resident_bytes / 1e6,
    }


def _contenders(bench: Bench) -> Mapping[str, Contender]:
    def theirs(peer: Peer, command: list[str]) -> Contender:
        return lambda: _theirs(bench.stack, peer, command)

    return {"millstream": lambda: _ours(bench.stack)} | {name: theirs(*found) for name, found in bench.peers.items()}


MEMORY = Figure(
    name="memory",
    title="resident memory after many jobs, and Redis memory of a queued job",
    method="Redis: difference of used_memory with the jobs queued and no worker running, divided by their number. "
    "Resident memory of producer and consumer after two amounts of jobs, counted from their start: equal means flat.",
    headline=HEADLINE,
    contenders=_contenders,
    max_rounds=1,
    uses_peers=True,
)
