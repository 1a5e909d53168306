"""How fast jobs are accepted many at a time."""

from loadtest.figures.figure import Figure
from loadtest.stack import NOOP, Stack
from loadtest.stats import Sample

RATE = "jobs/s"


def bulk_body(jobs: int) -> bytes:
    """Return the body of a bulk request."""
    return b"[" + b",".join([NOOP] * jobs) + b"]"


def queue(stack: Stack, count: int) -> None:
    """Submit `count` jobs in bulk and return when all of them are in the streams too. No consumer may run."""
    sizes = stack.sizes
    before = stack.valkey.queued()
    full, rest = divmod(count, sizes.bulk_jobs)
    if full:
        stack.post_load("/jobs/bulk", bulk_body(sizes.bulk_jobs), connections=sizes.bulk_connections, count=full)
    if rest:
        stack.post_load("/jobs/bulk", bulk_body(rest), connections=1, count=1)
    stack.wait("every queued job is in the stream", lambda: stack.valkey.queued() - before >= count, seconds=60)


def _bulk(stack: Stack) -> Sample:
    stack.fresh()
    sizes = stack.sizes
    result = stack.post_load(
        "/jobs/bulk",
        bulk_body(sizes.bulk_jobs),
        connections=sizes.bulk_connections,
        warmup=sizes.warmup_seconds,
        seconds=sizes.bulk_seconds,
    )
    return {RATE: result["rate"] * sizes.bulk_jobs, "p50 ms": result["p50_ms"], "p99 ms": result["p99_ms"]}


BULK = Figure(
    name="bulk",
    title="POST /jobs/bulk, 500 jobs a request, 4 connections, one producer",
    method="Closed loop; latencies are those of whole requests. No consumer runs.",
    headline=RATE,
    contenders=lambda bench: {"millstream": lambda: _bulk(bench.stack)},
)
