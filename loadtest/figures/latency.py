"""How long a job waits on a system that has time: from just before it is submitted to the first line of its handler."""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from loadtest.errors import MeasureError
from loadtest.figures.figure import Bench, Figure
from loadtest.peers import Installed
from loadtest.rounds import Contender
from loadtest.stack import Stack
from loadtest.stats import Sample, percentile

STAMP = b'{"type":"bench.stamp","payload":{}}'
HEADLINE = "p50 ms"
P99 = "p99 ms"
SETTLED_SECONDS = 60.0  # after the last job was submitted


def _ours(stack: Stack, rate: float) -> Sample:
    stack.fresh()
    stack.start_consumer()
    stack.wait("a stamp job has run", lambda: _proven(stack))
    options = ["--rate", f"{rate:g}", "--seconds", f"{stack.sizes.latency_seconds:g}"]
    argv = [sys.executable, "-m", "loadtest.open_loop", f"{stack.url}/jobs", *options]
    sent = dict(orjson.loads(stack.children.run("open_loop", argv, os.environ, data=STAMP, timeout_seconds=120)))
    finished = partial(stack.database.finished, "bench.stamp")
    stack.wait("every stamp job has run", lambda: finished().count > len(sent), seconds=SETTLED_SECONDS)
    jobs = [job for job in _jobs(stack) if job["id"] in sent]
    return _latencies([job["result"]["handler_at"] - sent[job["id"]] for job in jobs], len(sent))


def _theirs(stack: Stack, peer: Installed, rate: float) -> Sample:
    seconds = stack.sizes.latency_seconds
    count = int(rate * seconds)
    stack.empty()
    peer.setup()
    with peer.workers(1, stack.folder) as running:
        reports, processes = running.reports, running.processes
        peer.fill(1)
        stack.wait("a first job has run", lambda: reports.read() > 0, seconds=SETTLED_SECONDS, also=processes)
        peer.pace(rate, seconds)
        stack.wait("every job has run", lambda: reports.read() > count, seconds=SETTLED_SECONDS, also=processes)
    return _latencies(reports.waits, count)


def _latencies(seconds: Sequence[float], count: int) -> Sample:
    if len(seconds) != count:
        raise MeasureError(f"{len(seconds)} of {count} jobs have told how long they waited")
    return {HEADLINE: percentile(seconds, 50) * 1000, P99: percentile(seconds, 99) * 1000, "max ms": max(seconds) * 1000}


def _proven(stack: Stack) -> bool:
    """Run one stamp job ahead, so that type, connections and plans are warm."""
    if stack.database.finished("bench.stamp").count:
        return True
    if not stack.database.fetch("SELECT FROM jobs WHERE type = 'bench.stamp' LIMIT 1"):
        stack.ask("POST", "/jobs", STAMP)
    return False


def _jobs(stack: Stack) -> list[dict[str, Any]]:
    """Return every completed stamp job, page by page."""
    jobs: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = orjson.loads(stack.ask("GET", f"/jobs?type=bench.stamp&status=COMPLETED&limit=1000{cursor}")[1])
        jobs += page["jobs"]
        if not page["next_cursor"]:
            return jobs
        cursor = f"&cursor={page['next_cursor']}"


def _contenders(bench: Bench, rate: float) -> Mapping[str, Contender]:
    ours: dict[str, Contender] = {"millstream": lambda: _ours(bench.stack, rate)}
    return ours | {name: partial(_theirs, bench.stack, peer, rate) for name, peer in bench.peers.items()}


def _figure(rate: int) -> Figure:
    return Figure(
        name=f"latency{rate}",
        title=f"open loop, {rate:,} jobs a second, one worker: from just before the POST (peers: the call) to the start of the handler",
        method="The submitter's wall clock before sending against the one that the handler reads first of all: one machine, one "
        "clock. A submitter that falls behind counts from when the job was due. Ours over HTTP, through one producer.",
        headline=HEADLINE,
        published={f"latency{rate}_p50_ms": HEADLINE, f"latency{rate}_p99_ms": P99},
        contenders=partial(_contenders, rate=float(rate)),
        uses_peers=True,
    )


LATENCY100 = _figure(100)
LATENCY1000 = _figure(1000)
