"""What a job costs by the size of its payload, and how much of large ones a producer and a consumer hold at a time."""

import base64
import os

from loadtest.figures.drain import drained
from loadtest.growth import readings
from loadtest.growth.amounts import Amounts
from loadtest.growth.curve import Curve, Points, Say, Target, at_least, at_most
from loadtest.growth.watch import Peak
from loadtest.processes import resident_mb
from loadtest.rounds import shown
from loadtest.stack import Stack
from loadtest.stats import Sample

CONNECTIONS = 16
SUBMIT, DRAIN = "submit MB/s", "drain MB/s"
PRODUCER, CONSUMER = "producer MB at most", "consumer MB at most"
MOST_MB = 400.0  # of resident memory, whatever the payloads are
ENVELOPE = b'{"type":"test.noop","payload":{"text":"%s"}}'


def _measure(stack: Stack, amounts: Amounts, say: Say) -> Points:
    points: dict[str, Sample] = {}
    for size, count in zip(amounts.payload_bytes, amounts.payload_jobs, strict=True):
        points[f"{size:,} B"] = _point(stack, size, count)
        say(f"{size:,} B: {shown(points[f'{size:,} B'])}")
    return points


def _point(stack: Stack, size: int, count: int) -> Sample:
    stack.fresh()
    body = ENVELOPE % base64.b64encode(os.urandom(size))[: size - len(ENVELOPE)]  # what PostgreSQL cannot compress much
    with Peak(lambda: {PRODUCER: resident_mb(stack.producers[0])}) as producer:
        sent = stack.post_load("/jobs", body, connections=CONNECTIONS, count=count)
        stack.wait("every job is in the stream", lambda: stack.valkey.queued() == count, seconds=120)
    stack.settle()
    with Peak(lambda: {CONSUMER: max(map(resident_mb, stack.consumers), default=0.0)}) as consumer:
        rate = _drained(stack, count)
    return {
        "submit jobs/s": sent["rate"],
        SUBMIT: sent["rate"] * size / 1e6,
        "drain jobs/s": rate,
        DRAIN: rate * size / 1e6,
        **producer.highest,
        **consumer.highest,
    }


def _drained(stack: Stack, count: int) -> float:
    """Run all jobs; return the rate from the first claim on, for a claim is what brings the payloads."""
    stack.start_consumer()
    readings.follow(stack, lambda: readings.queue(stack), lambda reading: not reading["queued"], every=0.02, within=300)
    drained(stack, count)
    return count / stack.database.finished("test.noop").whole_seconds


def _targets(points: Points) -> list[Target]:
    small, *_, large = points.values()
    return [
        at_least("MB/s of submits, largest payloads / smallest", large[SUBMIT] / small[SUBMIT], 1.0),
        at_least("MB/s of the drain, largest payloads / smallest", large[DRAIN] / small[DRAIN], 1.0),
        at_most(PRODUCER, large[PRODUCER], MOST_MB),
        at_most(CONSUMER, large[CONSUMER], MOST_MB),
    ]


PAYLOADS = Curve(
    name="payloads",
    title="submit and drain by the size of the payload",
    method="POST /jobs one at a time from 16 connections, then one consumer with 1,000 slots; jobs do nothing. Memory is the "
    "highest seen, read every 20 ms.",
    measure=_measure,
    targets=_targets,
)
