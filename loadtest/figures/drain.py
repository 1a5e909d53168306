"""How fast workers settle jobs that wait already: ours and the peers'."""

from collections.abc import Mapping
from functools import partial

from loadtest.errors import MeasureError
from loadtest.figures.bulk import queue
from loadtest.figures.figure import Bench, Figure
from loadtest.peers import Installed
from loadtest.processes import resident_mb
from loadtest.rounds import Contender
from loadtest.stack import Stack
from loadtest.stats import Sample

RATE = "jobs/s"
WORKER_CPU = "worker CPU s / 10,000"
WORKER_MB = "worker MB"
REDIS_BYTES = "Redis bytes a queued job"
DRAIN_SECONDS = 300.0
FIRST_SECONDS = 60.0  # a worker has settled its first job


def drained(stack: Stack, count: int) -> None:
    """Wait until all streams are empty and the database says that `count` test jobs are COMPLETED."""
    stack.wait("the streams are empty", lambda: stack.valkey.queued() == 0, seconds=DRAIN_SECONDS)
    stack.wait("every job is COMPLETED", lambda: stack.database.finished("test.noop").count >= count, seconds=DRAIN_SECONDS)


def _ours(stack: Stack, workers: int) -> Sample:
    count = stack.sizes.drain_jobs
    stack.fresh()
    before = stack.stored_bytes()
    queue(stack, count)
    stored = _stored_each(before, stack.stored_bytes(), count)
    stack.analyze()
    stack.settle()
    consumers = [stack.start_consumer() for _ in range(workers)]
    stack.wait("the first job is settled", lambda: stack.valkey.queued() < count, seconds=FIRST_SECONDS)
    meter, left = stack.cpu_meter(worker=consumers), stack.valkey.queued()
    drained(stack, count)
    cpu = meter.microseconds_each(left)
    finished = stack.database.finished("test.noop")
    if finished.count != count:
        raise MeasureError(f"{finished.count} jobs are COMPLETED, {count} were queued")
    return {RATE: count / finished.settle_seconds} | _costs(cpu) | {WORKER_MB: sum(map(resident_mb, consumers))} | stored


def _theirs(stack: Stack, peer: Installed, workers: int) -> Sample:
    count = stack.sizes.drain_jobs_of(peer.peer)
    stack.empty()
    peer.setup()
    before = stack.stored_bytes()
    peer.fill(count)
    stored = _stored_each(before, stack.stored_bytes(), count)
    stack.analyze()
    stack.settle()
    with peer.workers(workers, stack.folder) as running:
        reports, processes = running.reports, running.processes
        stack.wait("the first job is settled", lambda: reports.read() > 0, seconds=FIRST_SECONDS, also=processes)
        meter, left = stack.cpu_meter(worker=processes), count - reports.count
        stack.wait("every job is settled", lambda: reports.read() >= count, seconds=DRAIN_SECONDS, also=processes)
        cpu = meter.microseconds_each(left)
        resident = sum(map(resident_mb, processes))
    if reports.count != count:
        raise MeasureError(f"{reports.count} jobs were settled, {count} were queued")
    return {RATE: count / (reports.last - reports.first)} | _costs(cpu) | {WORKER_MB: resident} | stored


def _costs(cpu: Sample) -> Sample:
    """Add the worker's share in the unit in which it is published."""
    return {WORKER_CPU: cpu["CPU us worker"] / 100} | cpu


def _stored_each(before: Mapping[str, int], after: Mapping[str, int], count: int) -> Sample:
    return {f"{store} bytes a queued job": (after[store] - before[store]) / count for store in after}


def _contenders(bench: Bench, workers: int) -> Mapping[str, Contender]:
    ours: dict[str, Contender] = {"millstream": lambda: _ours(bench.stack, workers)}
    return ours | {name: partial(_theirs, bench.stack, peer, workers) for name, peer in bench.peers.items()}


DRAIN1 = Figure(
    name="drain1",
    title="jobs that do nothing, all queued before, one worker process",
    method="jobs/s: from the first settled job to the last: ours by the database's finished_at, peers by the worker's "
    "clock once the end is written to their store. CPU: from the first settled job on, children of a worker included; CPU us: "
    "of each party, per job. Bytes: what the stores grew by when the jobs were queued, divided by their number. ANALYZE before.",
    headline=RATE,
    published={
        "drain1": RATE,
        "cpu_seconds_per_10k": WORKER_CPU,
        "worker_mb": WORKER_MB,
        "redis_bytes_per_queued_job": REDIS_BYTES,
    },
    contenders=partial(_contenders, workers=1),
    uses_peers=True,
)
DRAIN2 = Figure(
    name="drain2",
    title="the same, two worker processes",
    method="As before. PostgreSQL and Valkey run on the same two cores.",
    headline=RATE,
    published={"drain2": RATE},
    contenders=partial(_contenders, workers=2),
    uses_peers=True,
)
