"""Runs the contenders of a figure side by side: all of them in every round, every other round in reverse order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loadtest.stats import Sample

Contender = Callable[[], Sample]


@dataclass
class Measured:
    """What came out, by contender."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def run_rounds(contenders: Mapping[str, Contender], rounds: int, say: Callable[[str], None]) -> Measured:
    """Measure. A contender that fails is reported, left out from then on, and stops nobody else."""
    measured = Measured(samples={name: [] for name in contenders})
    for number in range(rounds):
        for name in order(list(contenders), number):
            if name in measured.failures:
                continue
            try:
                sample = contenders[name]()
            except Exception as error:  # noqa: BLE001 - whatever a contender does wrong is a finding, not our end
                measured.failures[name] = f"{type(error).__name__}: {error}"
                say(f"round {number + 1}/{rounds}  {name}: FAILED: {error}")
            else:
                measured.samples[name].append(sample)
                say(f"round {number + 1}/{rounds}  {name}: {shown(sample)}")
    return measured


def order(names: list[str], number: int) -> list[str]:
    """Return the order of round `number` (from 0): what runs first in one round runs last in the next."""
    return names[::-1] if number % 2 else names


def shown(sample: Sample) -> str:
    """Return one line for people."""
    return "  ".join(f"{measure} {number(value)}" for measure, value in sample.items())


def number(value: float) -> str:
    """Return `value` with as many digits as a measurement deserves."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
