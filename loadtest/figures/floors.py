"""millstream beside its floors: what is left when everything but the batches themselves is taken away."""

import sys
from collections.abc import Mapping
from functools import partial

import orjson

from loadtest.errors import MeasureError
from loadtest.figures.bulk import queue
from loadtest.figures.drain import RATE, drained
from loadtest.figures.figure import Bench, Figure
from loadtest.rounds import Contender
from loadtest.stack import NOOP, Stack
from loadtest.stats import Sample

FLIGHT = "4"  # batches: a consumer lets four times its slots wait to be settled
FLOOR_SECONDS = 300.0


def _ours(stack: Stack) -> Sample:
    """Like the figure drain1, but with a consumer that is up already: a floor has no start either."""
    count = stack.sizes.drain_jobs
    stack.fresh()
    stack.ask("POST", "/queues/default/pause")
    queue(stack, count)
    consumer = stack.start_consumer()
    stack.wait("the consumer is up", lambda: bool(orjson.loads(stack.ask("GET", "/workers")[1])["workers"]))
    stack.settle()
    meter = stack.cpu_meter(client=[consumer])
    stack.ask("POST", "/queues/default/resume")
    drained(stack, count)
    return {RATE: count / stack.database.finished("test.noop").settle_seconds, **meter.microseconds_each(count)}


def _submit(stack: Stack) -> Sample:
    stack.fresh()
    sizes = stack.sizes
    meter = stack.cpu_meter(client=stack.producers)
    result = stack.post_load("/jobs", NOOP, connections=sizes.submit_connections, warmup=sizes.warmup_seconds, seconds=sizes.submit_seconds)
    return {RATE: result["rate"], **meter.microseconds_each(result["sent"])}


def _drain(stack: Stack, *options: str) -> Sample:
    count = stack.sizes.drain_jobs
    stack.fresh()
    queue(stack, count)
    stack.settle()
    sample = _floor(stack, "drain", *options)
    left = count - stack.database.finished("test.noop").count
    if left or stack.valkey.queued():
        raise MeasureError(f"{left} of {count} jobs were not settled, {stack.valkey.queued()} entries are left")
    return sample


def _batches(stack: Stack, name: str) -> Sample:
    stack.fresh()
    return _floor(stack, name, "--count", str(stack.sizes.drain_jobs))


def _floor(stack: Stack, name: str, *options: str) -> Sample:
    """Run a floor on the servers of the stack."""
    theirs = stack.peer_env()
    stores = {"DATABASE_URL": stack.database.url, "REDIS_URL": theirs["REDIS_URL"].rpartition("/")[0] + "/0"}
    meter = stack.cpu_meter()
    argv = [sys.executable, "-m", f"loadtest.floors.{name}", *options]
    result = orjson.loads(stack.children.run(f"floor-{name}", argv, theirs | stores, timeout_seconds=FLOOR_SECONDS))
    cpu = meter.microseconds_each(result["count"], client=result["cpu_seconds"])
    return {RATE: result["rate"], "CPU us client": cpu.pop("CPU us client"), **cpu, "jobs a batch": result["count"] / result["batches"]}


def _drains(bench: Bench) -> Mapping[str, Contender]:
    return {
        "millstream": partial(_ours, bench.stack),
        "bare loop": partial(_drain, bench.stack),
        "pipelined": partial(_drain, bench.stack, "--flight", FLIGHT),
        "two settlers": partial(_drain, bench.stack, "--flight", FLIGHT, "--settlers", "2"),
    }


def _submits(bench: Bench) -> Mapping[str, Contender]:
    return {
        "millstream": partial(_submit, bench.stack),
        "bare INSERT": partial(_batches, bench.stack, "insert"),
        "bare XADD": partial(_batches, bench.stack, "xadd"),
    }


DRAIN_FLOOR = Figure(
    name="drainfloor",
    title="the same drain by a bare loop: XREADGROUP, the same claim and settle, XACK and XDEL",
    method="Batches of 300. Bare loop: one after the other. Pipelined: four under way, one connection for each step, as in a consumer; two "
    "settlers: two connections that settle. No handler, no outcome, no event. millstream's consumer is up before it begins. CPU us: a job.",
    headline=RATE,
    published={"drain_floor": RATE},
    contenders=_drains,
)
SUBMIT_FLOOR = Figure(
    name="submitfloor",
    title="what a POST holds, done bare: the same batch INSERT, the same entries by pipelined XADD",
    method="Batches as one producer makes them under 64 connections (27 and 30 jobs), one after the other on one connection, no HTTP. "
    "The bare echo is in the figure submit. CPU us: a job; client: the producer, or the process of the floor.",
    headline=RATE,
    contenders=_submits,
    max_rounds=3,
)
