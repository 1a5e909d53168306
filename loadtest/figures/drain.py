"""How fast one worker process settles jobs that wait already: ours and the peers'."""

from collections.abc import Mapping

from loadtest.errors import MeasureError
from loadtest.figures.bulk import queue
from loadtest.figures.figure import Bench, Figure
from loadtest.peers import Peer
from loadtest.processes import resident_mb
from loadtest.rounds import Contender
from loadtest.stack import Stack
from loadtest.stats import Sample

RATE = "jobs/s"
WHOLE_RATE = "jobs/s from first claim"
DRAIN_SECONDS = 300.0


def drained(stack: Stack, count: int) -> None:
    """Wait until all streams are empty and the database says that `count` test jobs are COMPLETED."""
    stack.wait("the streams are empty", lambda: stack.valkey.queued() == 0, seconds=DRAIN_SECONDS)
    stack.wait("every job is COMPLETED", lambda: stack.database.finished("test.noop").count >= count, seconds=DRAIN_SECONDS)


def _ours(stack: Stack) -> Sample:
    count = stack.sizes.drain_jobs
    stack.fresh()
    queue(stack, count)
    stack.settle()
    consumer = stack.start_consumer()
    meter = stack.cpu_meter(consumer=[consumer])
    drained(stack, count)
    cpu = meter.microseconds_each(count)
    finished = stack.database.finished("test.noop")
    if finished.count != count:
        raise MeasureError(f"{finished.count} jobs are COMPLETED, {count} were queued")
    return {
        RATE: count / finished.settle_seconds,
        WHOLE_RATE: count / finished.whole_seconds,
        "worker MB": resident_mb(consumer),
        **cpu,
    }


def _theirs(stack: Stack, peer: Peer, command: list[str]) -> Sample:
    count = stack.sizes.drain_jobs
    stack.empty()
    peer.fill(command, stack.peer_env(), count, stack.children)
    stack.settle()
    result = peer.drain(command, stack.peer_env(), count, stack.children)
    return {
        RATE: count / (result.last - result.first),
        WHOLE_RATE: count / (result.last - result.begun),
        "worker MB": result.resident_bytes / 1e6,
    }


def _contenders(bench: Bench) -> Mapping[str, Contender]:
    def theirs(peer: Peer, command: list[str]) -> Contender:
        return lambda: _theirs(bench.stack, peer, command)

    return {"millstream": lambda: _ours(bench.stack)} | {name: theirs(*found) for name, found in bench.peers.items()}


DRAIN1 = Figure(
    name="drain1",
    title="jobs that do nothing, all queued before, one worker process",
    method="jobs/s: from the first settled job to the last: ours by the database's finished_at, peers by the worker's "
    "clock once the end is written to Redis. From first claim: ours from the first started_at, peers from the creation "
    "of the worker. CPU us: of each party per job, the start of the consumer and what it does when idle included.",
    headline=RATE,
    contenders=_contenders,
    uses_peers=True,
)
