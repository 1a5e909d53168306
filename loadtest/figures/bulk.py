"""How fast jobs are accepted many at a time."""

from collections.abc import Mapping
from functools import partial

from loadtest.figures.figure import Bench, Figure
from loadtest.peers import Installed
from loadtest.rounds import Contender
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


def _theirs(stack: Stack, peer: Installed) -> Sample:
    stack.empty()
    peer.setup()
    return {RATE: peer.bulk(stack.sizes.bulk_seconds)}


def _contenders(bench: Bench) -> Mapping[str, Contender]:
    ours: dict[str, Contender] = {"millstream": lambda: _bulk(bench.stack)}
    return ours | {name: partial(_theirs, bench.stack, peer) for name, peer in bench.peers.items()}


BULK = Figure(
    name="bulk",
    title="jobs submitted 500 at a time, four requests at a time: POST /jobs/bulk, one producer; peers by their own call",
    method="Closed loop; latencies are those of whole requests. Peers without a bulk call make many single ones at a time. No worker runs.",
    headline=RATE,
    published={"bulk": RATE},
    contenders=_contenders,
    uses_peers=True,
)
