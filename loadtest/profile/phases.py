"""What is profiled: each phase makes a process ready, and then has it do one kind of work for some seconds."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from loadtest.figures.bulk import bulk_body, queue
from loadtest.figures.drain import drained
from loadtest.profile.stages import Table
from loadtest.profile.tables import CONSUMER, PRODUCER
from loadtest.stack import NOOP, Stack, drive
from shared.embedded.folder import free_port
from shared.embedded.process import Process


class Work(NamedTuple):
    """What was done: how many jobs, how many a second, and the CPU seconds of who asked for them."""

    jobs: int
    rate: float
    generator_seconds: float = 0.0


class Ready(NamedTuple):
    """The process to look at, the work to give it, and how to end it."""

    process: Process
    work: Callable[[], Work]
    end: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A kind of work. `party` is what the process is called in the tables."""

    name: str
    title: str
    party: str
    table: Table = field(repr=False)
    prepare: Callable[[Stack], Ready]


def _submit(stack: Stack) -> Ready:
    stack.fresh()
    return Ready(stack.producers[0], lambda: _driven(stack, f"{stack.url}/jobs", NOOP, stack.sizes.submit_connections))


def _bulk(stack: Stack) -> Ready:
    stack.fresh()
    size = stack.sizes.bulk_jobs
    return Ready(stack.producers[0], lambda: _driven(stack, f"{stack.url}/jobs/bulk", bulk_body(size), stack.sizes.bulk_connections, size))


def _echo(stack: Stack) -> Ready:
    stack.empty()
    port = free_port()
    echo = stack.children.start("echo", [sys.executable, "-m", "loadtest.echo", str(port)], os.environ)
    stack.children.wait_listening(echo, port)
    work = lambda: _driven(stack, f"http://127.0.0.1:{port}/jobs", NOOP, stack.sizes.submit_connections)  # noqa: E731
    return Ready(echo, work, lambda: stack.children.stop(echo))


def _driven(stack: Stack, url: str, body: bytes, connections: int, jobs: int = 1) -> Work:
    result = drive(stack.children, url, body, connections=connections, warmup=0.5, seconds=stack.sizes.submit_seconds)
    return Work(result["sent"] * jobs, result["rate"] * jobs, result["cpu_seconds"])


def _drain(stack: Stack) -> Ready:
    """The consumer is up and finds its queue paused: its start is not part of the picture."""
    stack.fresh()
    stack.ask("POST", "/queues/default/pause")
    queue(stack, stack.sizes.drain_jobs)
    consumer = stack.start_consumer()
    stack.wait("the consumer is up", lambda: bool(orjson.loads(stack.ask("GET", "/workers")[1])["workers"]))
    stack.settle()
    return Ready(consumer, lambda: _drained(stack))


def _drained(stack: Stack) -> Work:
    count = stack.sizes.drain_jobs
    stack.ask("POST", "/queues/default/resume")
    drained(stack, count)
    return Work(count, count / stack.database.finished("test.noop").settle_seconds)


PHASES = {
    phase.name: phase
    for phase in (
        Phase(name="submit", title="POST /jobs, one job a request", party="producer", table=PRODUCER, prepare=_submit),
        Phase(name="echo", title="the floor of it: a bare aiohttp echo of the same JSON", party="echo", table=PRODUCER, prepare=_echo),
        Phase(name="bulk", title="POST /jobs/bulk", party="producer", table=PRODUCER, prepare=_bulk),
        Phase(name="drain", title="jobs that do nothing, all queued before", party="consumer", table=CONSUMER, prepare=_drain),
    )
}
