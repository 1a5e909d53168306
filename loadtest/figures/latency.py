"""How long a job waits on a quiet system: from just before the POST to the first line of its handler."""

import os
import sys
from datetime import datetime
from typing import Any

import orjson

from loadtest.errors import MeasureError
from loadtest.figures.figure import Figure
from loadtest.stack import Stack
from loadtest.stats import Sample, percentile

STAMP = b'{"type":"bench.stamp","payload":{}}'
HEADLINE = "p50 ms"


def _latency(stack: Stack) -> Sample:
    sizes = stack.sizes
    stack.fresh()
    stack.start_consumer()
    stack.wait("a stamp job has run", lambda: _proven(stack))
    options = ["--rate", f"{sizes.latency_rate:g}", "--seconds", f"{sizes.latency_seconds:g}"]
    argv = [sys.executable, "-m", "loadtest.open_loop", f"{stack.url}/jobs", *options]
    sent = dict(orjson.loads(stack.children.run("open_loop", argv, os.environ, data=STAMP, timeout_seconds=120)))
    stack.wait("every stamp job has run", lambda: stack.database.finished("bench.stamp").count > len(sent))
    jobs = [job for job in _jobs(stack) if job["id"] in sent]
    if len(jobs) != len(sent):
        raise MeasureError(f"{len(jobs)} of {len(sent)} jobs are COMPLETED")
    handler = [(job["result"]["handler_at"] - sent[job["id"]]) * 1000 for job in jobs]
    claim = [(datetime.fromisoformat(job["started_at"]).timestamp() - sent[job["id"]]) * 1000 for job in jobs]
    return {
        HEADLINE: percentile(handler, 50),
        "p99 ms": percentile(handler, 99),
        "max ms": max(handler),
        "claim p50 ms": percentile(claim, 50),
        "claim p99 ms": percentile(claim, 99),
    }


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


LATENCY100 = Figure(
    name="latency100",
    title="open loop, 100 POSTs a second: from just before the POST to the start of the handler",
    method="The client's wall clock before sending against the one that the handler reads first and returns as its "
    "result: one machine, one clock. claim: against started_at, the start of the claiming transaction. One producer, "
    "one consumer.",
    headline=HEADLINE,
    contenders=lambda bench: {"millstream": lambda: _latency(bench.stack)},
)
