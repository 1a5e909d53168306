"""What reading costs when there are many finished jobs."""

import time
from http.client import HTTPConnection

import orjson

from loadtest.errors import MeasureError
from loadtest.growth.amounts import Amounts
from loadtest.growth.curve import Curve, Points, Say, Target, at_most
from loadtest.growth.rows_calls import Call, known
from loadtest.growth.rows_fill import fill
from loadtest.rounds import shown
from loadtest.stack import Stack
from loadtest.stats import Sample, percentile

MOST_MS = 30.0
MIDDLE = "p50 ms"
LETTERS_SECONDS = 600.0


def _measure(stack: Stack, amounts: Amounts, say: Say) -> Points:
    stack.fresh()
    fill(stack, amounts.rows, say)
    letters = stack.database.fetch("SELECT count(*) AS n FROM dead_letters")[0]["n"]
    stack.start_consumer()  # its reconciler tells Redis of all letters and of the jobs that wait
    began = time.monotonic()
    stack.wait("every letter is in the stream", lambda: _unplaced(stack) == 0, seconds=LETTERS_SECONDS)
    points = {"(letters into Redis)": {"first ms": (time.monotonic() - began) * 1000, "jobs": float(letters)}}
    say(f"{letters:,} letters are in the stream")
    for name, call in known(stack).items():
        points[name] = _asked(stack, call, amounts.calls)
        say(f"{name}: {shown(points[name])}")
    return points


def _unplaced(stack: Stack) -> int:
    return int(stack.database.fetch("SELECT count(*) AS n FROM dead_letters WHERE entry_id IS NULL")[0]["n"])


def _asked(stack: Stack, call: Call, times: int) -> Sample:
    """Make a call again and again over one connection; the first is told apart, for the pages that it needs may not be in memory."""
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=30)
    try:
        first, _ = _timed(connection, call)
        meter = stack.cpu_meter(producer=stack.producers)
        latencies, answers = zip(*(_timed(connection, call) for _ in range(times)), strict=True)
        cpu = meter.microseconds_each(times)
    finally:
        connection.close()
    return {
        "first ms": first,
        MIDDLE: percentile(latencies, 50),
        "p99 ms": percentile(latencies, 99),
        "CPU ms": (cpu["CPU us producer"] + cpu["CPU us PostgreSQL"]) / 1000,
        "kB": len(answers[-1]) / 1e3,
        **_found(answers[-1]),
    }


def _timed(connection: HTTPConnection, call: Call) -> tuple[float, bytes]:
    began = time.perf_counter()
    connection.request(call.method, call.path, call.body, {"Content-Type": "application/json"} if call.body else {})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise MeasureError(f"{call.method} {call.path}: {answer.status} {body[:300].decode(errors='replace')}")
    return (time.perf_counter() - began) * 1000, body


def _found(body: bytes) -> Sample:
    """Return how many jobs an answer tells of, where it does."""
    if not body.startswith(b"{"):
        return {}
    told = orjson.loads(body)
    count = len(told["jobs"]) if "jobs" in told else told.get("matched")
    return {} if count is None else {"jobs": float(count)}


def _targets(points: Points) -> list[Target]:
    asked = {name: sample for name, sample in points.items() if MIDDLE in sample}
    return [at_most(f"{name}, {MIDDLE}", sample[MIDDLE], MOST_MS) for name, sample in asked.items()]


ROWS = Curve(
    name="rows",
    title="calls that read, with many finished jobs in the table",
    method="Rows made by SQL: 98 % COMPLETED, 1 % dead-lettered, 1 % waiting, some cancelled, three types, four queues, over 29 days. "
    "Each call is made once and then 50 times over one connection, one at a time. CPU ms: of producer and "
    "PostgreSQL, a call; it hardly depends on who else is busy.",
    measure=_measure,
    targets=_targets,
)
