"""How fast single jobs are accepted, next to the least that the same web framework can do."""

import os
import sys
from collections.abc import Mapping

from loadtest.figures.figure import Bench, Figure
from loadtest.rounds import Contender
from loadtest.stack import NOOP, Stack, drive
from loadtest.stats import Sample
from shared.embedded.folder import free_port

RATE = "requests/s"


def _submit(stack: Stack, producers: int) -> Sample:
    stack.fresh(producers)
    return _driven(stack, stack.url)


def _bare_echo(stack: Stack) -> Sample:
    stack.empty()
    port = free_port()
    echo = stack.children.start("echo", [sys.executable, "-m", "loadtest.echo", str(port)], os.environ)
    try:
        stack.children.wait_listening(echo, port)
        return _driven(stack, f"http://127.0.0.1:{port}")
    finally:
        stack.children.stop(echo)


def _driven(stack: Stack, url: str) -> Sample:
    sizes = stack.sizes
    result = drive(
        stack.children,
        f"{url}/jobs",
        NOOP,
        connections=sizes.submit_connections,
        warmup=sizes.warmup_seconds,
        seconds=sizes.submit_seconds,
    )
    return {RATE: result["rate"], "p50 ms": result["p50_ms"], "p99 ms": result["p99_ms"]}


def _against_floor(bench: Bench) -> Mapping[str, Contender]:
    return {"millstream": lambda: _submit(bench.stack, 1), "bare echo": lambda: _bare_echo(bench.stack)}


def _two_against_one(bench: Bench) -> Mapping[str, Contender]:
    return {"two producers": lambda: _submit(bench.stack, 2), "one producer": lambda: _submit(bench.stack, 1)}


SUBMIT = Figure(
    name="submit",
    title="POST /jobs, one job a request, closed loop, one producer",
    method="64 keep-alive connections from a process of its own; no consumer runs. The floor is an aiohttp handler "
    "that decodes and encodes the same JSON and stores nothing (uvloop, no access log).",
    headline=RATE,
    contenders=_against_floor,
)
SUBMIT2 = Figure(
    name="submit2",
    title="the same, two producer processes on one port",
    method="SO_REUSEPORT; the load generator, PostgreSQL and Valkey run on the same cores.",
    headline=RATE,
    contenders=_two_against_one,
)
