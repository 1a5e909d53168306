"""One phase, twice: without the sampler for times and counts, with it for the shares of the stages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtest.profile import folded, postgres, valkey
from loadtest.profile.phases import Phase, Ready, Work
from loadtest.profile.sampler import Sampler
from loadtest.profile.stages import Share, shares
from loadtest.stack import Stack
from loadtest.stats import Sample


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What came out. Times are of all jobs together, in us, but for `cpu` and `postgres_processes`: us a job."""

    jobs: int
    rate: float  # jobs a second without the sampler
    sampled_rate: float  # and with it
    sampled_cpu: Sample  # us a job then, of the process and of the sampler
    samples: int
    cpu: Sample  # by process
    stages: dict[str, Share]
    postgres_processes: Sample
    statements: list[dict[str, Any]]
    log: dict[str, float]
    commands: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written to the file."""
        return asdict(self) | {"stages": {name: {"part": share.part, "places": share.places[:20]} for name, share in self.stages.items()}}


def profile(phase: Phase, stack: Stack, sampler: Sampler) -> Profile:
    """Measure one phase. Raises MeasureError."""
    counted = _counted(phase, stack)
    stacks, work, cpu = _sampled(phase, stack, sampler)
    with stacks.open() as lines:
        found = list(folded.parse(lines))
    return Profile(
        **counted,
        sampled_rate=work.rate,
        sampled_cpu=cpu,
        samples=sum(item.samples for item in found),
        stages=shares(phase.table, found),
    )


def _counted(phase: Phase, stack: Stack) -> dict[str, Any]:
    with _ready(phase, stack) as ready:
        postgres.prepare(stack.database)
        server = postgres.PostgresWatch(stack.database)
        stack.valkey.forget_statistics()
        meter = stack.cpu_meter(**{phase.party: [ready.process]})
        work = ready.work()
        return {
            "jobs": work.jobs,
            "rate": work.rate,
            "cpu": meter.microseconds_each(work.jobs, generator=work.generator_seconds),
            "postgres_processes": server.processes(work.jobs),
            "statements": server.statements(),
            "log": server.log(),
            "commands": valkey.commands(stack.valkey),
        }


def _sampled(phase: Phase, stack: Stack, sampler: Sampler) -> tuple[Path, Work, Sample]:
    with _ready(phase, stack) as ready:
        sampler_process = sampler.start(ready.process.pid or 0)
        meter = stack.cpu_meter(**{phase.party: [ready.process], "sampler": [sampler_process]})
        work = ready.work()
        cpu = meter.microseconds_each(work.jobs)
        return sampler.stop(), work, cpu


@contextmanager
def _ready(phase: Phase, stack: Stack) -> Iterator[Ready]:
    ready = phase.prepare(stack)
    try:
        yield ready
    finally:
        ready.end()
