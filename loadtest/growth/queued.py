"""How fast one consumer drains, by how much is queued when it starts."""

from loadtest.figures.bulk import queue as submit
from loadtest.figures.drain import drained
from loadtest.growth import readings
from loadtest.growth.amounts import Amounts
from loadtest.growth.curve import Curve, Points, Say, Target, at_least, at_most
from loadtest.rounds import shown
from loadtest.stack import Stack
from loadtest.stats import Sample

RATE = "jobs/s"
STEP = 250_000  # jobs in one go of the load generator
DRAIN_SECONDS = 1800.0
PARTS = ("jobs/s, first third", "jobs/s, middle", "jobs/s, last third")


def _measure(stack: Stack, amounts: Amounts, say: Say) -> Points:
    points: dict[str, Sample] = {}
    for count in amounts.queued:
        points[f"{count:,} queued"] = _point(stack, count)
        say(f"{count:,}: {shown(points[f'{count:,} queued'])}")
    return points


def _point(stack: Stack, count: int) -> Sample:
    stack.fresh()
    before = stack.valkey.used_bytes()
    fill(stack, count)
    stack.settle()
    waiting = {"Redis bytes a queued job": (stack.valkey.used_bytes() - before) / count} | readings.disk(stack)
    return drain(stack, count) | waiting


def fill(stack: Stack, count: int) -> None:
    """Submit so many jobs in bulk, in steps that each end in time."""
    for start in range(0, count, STEP):
        submit(stack, min(STEP, count - start))


def drain(stack: Stack, count: int, consumers: int = 1) -> Sample:
    """Start consumers and let them run the `count` jobs that are queued: rates, CPU time a job from the first one on, memory at the end."""
    every = 0.01 if count < STEP else 0.25
    for _ in range(consumers):
        stack.start_consumer()
    readings.follow(stack, lambda: readings.queue(stack), lambda reading: reading["queued"] < count, every=0.005, within=60)
    meter = stack.cpu_meter(consumer=stack.consumers)
    found = readings.follow(stack, lambda: readings.queue(stack), lambda reading: not reading["queued"], every=every, within=DRAIN_SECONDS)
    cpu = meter.microseconds_each(int(found[0]["queued"]))
    memory = readings.memory(stack)
    drained(stack, count)
    finished = stack.database.finished("test.noop")
    return {RATE: count / finished.settle_seconds} | dict(zip(PARTS, readings.rates(found, len(PARTS)), strict=True)) | cpu | memory


def _targets(points: Points) -> list[Target]:
    names = list(points)
    first, last = points[names[0]], points[names[-1]]
    return [
        at_least(f"{RATE} with {names[-1]} / with {names[0]}", last[RATE] / first[RATE], 0.8),
        at_least(f"last third / first third of the drain of {names[-1]}", last[PARTS[2]] / last[PARTS[0]], 0.8),
        *(
            at_most(f"{part} MB after {names[-1]} / after {names[0]}", last[f"{part} MB"] / first[f"{part} MB"], 1.1)
            for part in ("producer", "consumer")
        ),
    ]


QUEUED = Curve(
    name="queued",
    title="drain by one consumer, by how many jobs are queued when it starts",
    method="Jobs that do nothing, submitted by POST /jobs/bulk. jobs/s: from the first finished_at to the last. Thirds: by the length of "
    "the streams, equally many jobs each. CPU us a job: from the first settled job on, start-up left out. Sizes: while all wait.",
    measure=_measure,
    targets=_targets,
)
