"""Whether days of steady load leave anything behind, seen at speed: jobs are kept for a minute and a half instead of a month."""

import time
from collections.abc import Sequence
from http.client import HTTPConnection
from statistics import mean

import orjson

from loadtest.errors import MeasureError
from loadtest.growth import readings
from loadtest.growth.amounts import Amounts
from loadtest.growth.curve import Curve, Points, Say, Target, at_most
from loadtest.rounds import shown
from loadtest.stack import Stack
from loadtest.stats import Sample

RETENTION_DAYS = "0.001"  # 86.4 s, the shortest that there is
READ_SECONDS = 5.0
SAID_EVERY = 12  # readings
REQUESTS_A_SECOND = 20
THIRDS = ("first third", "second third", "last third")
RELATIONS = ("jobs", "jobs_pkey", "jobs_open", "job_counts", "attempts", "dead_letters", "idempotency_keys")
FLAT = (*(f"{name} MB" for name in RELATIONS), "Redis MB", "producer MB", "consumer MB", "PostgreSQL own MB", "GET /jobs/stats ms")


def body(number: int, jobs: int) -> bytes:
    """Return bulk request `number`: one job dies, one succeeds the second time, one has a key of its own, the others do nothing."""
    odd = [
        {"type": "test.fail", "payload": {}, "max_attempts": 1},
        {"type": "test.fail", "payload": {"times": 1}, "backoff": {"kind": "fixed", "base": 1}},
        {"type": "test.noop", "payload": {}, "idempotency_key": f"growth-{number}"},
    ]
    plain = {"type": "test.noop", "payload": {"to": "user@example.com", "n": number}}
    return orjson.dumps([*odd, *[plain] * (jobs - len(odd))])


def thirds(samples: Sequence[Sample]) -> dict[str, Sample]:
    """Return the means of each third of the readings."""
    size = len(samples) // 3
    parts = (samples[:size], samples[size : 2 * size], samples[2 * size :])
    return {
        name: {measure: mean(sample[measure] for sample in part) for measure in part[0]} for name, part in zip(THIRDS, parts, strict=True)
    }


def _measure(stack: Stack, amounts: Amounts, say: Say) -> Points:
    stack.fresh()
    stack.start_consumer()
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=30)
    samples: list[Sample] = []
    begin = time.monotonic()
    pause = min(READ_SECONDS, amounts.retention_seconds / 6)
    for number in range(int(amounts.retention_seconds * REQUESTS_A_SECOND)):
        time.sleep(max(0.0, begin + number / REQUESTS_A_SECOND - time.monotonic()))
        _post(connection, body(number, amounts.retention_rate // REQUESTS_A_SECOND))
        if time.monotonic() - begin >= (len(samples) + 1) * pause:
            samples.append(_read(stack))
            if len(samples) % SAID_EVERY == 0:
                say(f"{time.monotonic() - begin:.0f} s: {shown(samples[-1])}")
    connection.close()
    return thirds(samples)


def _post(connection: HTTPConnection, content: bytes) -> None:
    connection.request("POST", "/jobs/bulk", content, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    told = answer.read()
    if answer.status != 202:
        raise MeasureError(f"POST /jobs/bulk: {answer.status} {told[:300].decode(errors='replace')}")


def _read(stack: Stack) -> Sample:
    began = time.perf_counter()
    stack.ask("GET", "/jobs/stats")
    stats = (time.perf_counter() - began) * 1000
    queued = float(stack.valkey.queued())
    return readings.disk(stack, RELATIONS) | readings.memory(stack) | {"GET /jobs/stats ms": stats, "in the streams": queued}


def _targets(points: Points) -> list[Target]:
    _, second, last = points.values()
    return [at_most(f"{measure}, last third / second", last[measure] / second[measure], 1.1) for measure in FLAT]


RETENTION = Curve(
    name="retention",
    title="steady load for twelve retention times: nothing may grow after the first",
    method="Bulk requests at a steady rate, one consumer, MILLSTREAM_RETENTION_DAYS=0.001. Of fifty one is dead-lettered, one succeeds the "
    "second time, one has an idempotency key. Read every 5 s; means of each third. The janitor comes once a minute.",
    measure=_measure,
    targets=_targets,
    settings={"MILLSTREAM_RETENTION_DAYS": RETENTION_DAYS, "MILLSTREAM_IDEMPOTENCY_TTL": "86"},
)
