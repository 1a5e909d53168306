"""How fast single jobs are accepted: next to the peers' own enqueue calls, and to the least that the web framework can do."""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from loadtest.figures.figure import Bench, Figure
from loadtest.peers import Installed
from loadtest.rounds import Contender
from loadtest.stack import NOOP, Stack, drive
from loadtest.stats import Sample
from shared.embedded.folder import free_port
from shared.embedded.process import Process

RATE = "jobs/s"
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


def _theirs(stack: Stack, peer: Installed) -> Sample:
    stack.empty()
    peer.setup()
    return {RATE: peer.submit(stack.sizes.submit_seconds)}


def _beside_peers(bench: Bench) -> Mapping[str, Contender]:
    ours: dict[str, Contender] = {"millstream": lambda: _submit(bench.stack, 2)}
    return ours | {name: partial(_theirs, bench.stack, peer) for name, peer in bench.peers.items()}


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
    title="jobs submitted one by one: POST /jobs, two producers; peers by their own call in a process of their own",
    method="Closed loop. Ours: 64 keep-alive connections from another process, SO_REUSEPORT. Peers: 64 calls at a time in one "
    "process where their client is asynchronous, else one. No worker runs.",
    headline=RATE,
    published={"submit": RATE},
    contenders=_beside_peers,
    uses_peers=True,
)
SUBMIT1 = Figure(
    name="submit1",
    title="POST /jobs, one producer, next to the floor",
    method="64 keep-alive connections from a process of its own; no consumer runs. The floor is an aiohttp handler "
    "that decodes and encodes the same JSON and stores nothing (uvloop, no access log).",
    headline=RATE,
    published={"submit1": RATE},
    contenders=_against_floor,
)
SUBMIT2 = Figure(
    name="submit2",
    title="POST /jobs: what a second producer brings",
    method="SO_REUSEPORT; the load generator, PostgreSQL and Valkey run on the same cores. One and two processes of the bare "
    "echo show what a second process brings on this machine at all. CPU us: of each party, per request.",
    headline=RATE,
    contenders=_two_against_one,
    max_rounds=3,
)
