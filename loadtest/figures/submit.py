"""How fast single jobs are accepted, next to the least that the same web framework can do."""

import os
import sys
from collections.abc import Mapping, Sequence

from loadtest.figures.figure import Bench, Figure
from loadtest.rounds import Contender
from loadtest.stack import NOOP, Stack, drive
from loadtest.stats import Sample
from shared.embedded.folder import free_port
from shared.embedded.process import Process

RATE = "requests/s"
MANY = 256  # connections: enough that two producers both have full batches


def _submit(stack: Stack, producers: int, connections: int | None = None) -> Sample:
    stack.fresh(producers)
    return _driven(stack, stack.url, stack.producers, connections)


def _bare_echo(stack: Stack, processes: int = 1) -> Sample:
    stack.empty()
    port = free_port()
    argv = [sys.executable, "-m", "loadtest.echo", str(port)]
    echoes = [stack.children.start("echo", argv, os.environ) for _ in range(processes)]
    try:
        for echo in echoes:
            stack.children.wait_listening(echo, port)
        return _driven(stack, f"http://127.0.0.1:{port}", echoes)
    finally:
        stack.children.stop(*echoes)


def _driven(stack: Stack, url: str, servers: Sequence[Process], connections: int | None = None) -> Sample:
    sizes = stack.sizes
    meter = stack.cpu_meter(HTTP=servers)
    result = drive(
        stack.children,
        f"{url}/jobs",
        NOOP,
        connections=connections or sizes.submit_connections,
        warmup=sizes.warmup_seconds,
        seconds=sizes.submit_seconds,
    )
    cpu = meter.microseconds_each(result["sent"], generator=result["cpu_seconds"])
    return {RATE: result["rate"], "p50 ms": result["p50_ms"], "p99 ms": result["p99_ms"]} | cpu


def _against_floor(bench: Bench) -> Mapping[str, Contender]:
    return {"millstream": lambda: _submit(bench.stack, 1), "bare echo": lambda: _bare_echo(bench.stack)}


def _two_against_one(bench: Bench) -> Mapping[str, Contender]:
    return {
        "two producers": lambda: _submit(bench.stack, 2),
        "one producer": lambda: _submit(bench.stack, 1),
        "two, 256 conn.": lambda: _submit(bench.stack, 2, MANY),
        "one, 256 conn.": lambda: _submit(bench.stack, 1, MANY),
        "two echoes": lambda: _bare_echo(bench.stack, 2),
        "one echo": lambda: _bare_echo(bench.stack, 1),
    }


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
    method="SO_REUSEPORT; the load generator, PostgreSQL and Valkey run on the same cores. One and two processes of the bare "
    "echo show what a second process brings on this machine at all. CPU us: of each party, per request.",
    headline=RATE,
    contenders=_two_against_one,
)
