"""What millstream has to reach beside its peers, and whether it did in this run."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Mapping[str, float]]  # published name -> contender -> median
OURS = "millstream"


@dataclass(frozen=True)
class Target:
    """`actual` gets the figures and the names of the peers written for Python; None: what it needs was not measured."""

    title: str
    bound: float
    actual: Callable[[Figures, Collection[str]], float | None]
    is_most: bool = False  # the bound is the most that is allowed, not the least

    def verdict(self, figures: Figures, python: Collection[str]) -> dict[str, Any]:
        """Return title, bound, actual value and whether it holds (None when it was not measured)."""
        actual = self.actual(figures, python)
        holds = None if actual is None else actual <= self.bound if self.is_most else actual >= self.bound
        wanted = f"{'<=' if self.is_most else '>='} {self.bound:g}"
        return {"target": self.title, "wanted": wanted, "actual": actual, "holds": holds}


Actual = Callable[[Figures, Collection[str]], float | None]


def _value(figure: str) -> Actual:
    return lambda figures, _: figures.get(figure, {}).get(OURS)


def _over(figure: str, peer: str) -> Actual:
    """Ours divided by that of one contender."""

    def ratio(figures: Figures, _: Collection[str]) -> float | None:
        values = figures.get(figure, {})
        return values[OURS] / values[peer] if OURS in values and values.get(peer) else None

    return ratio


def _over_best(figure: str, *, python_only: bool, best: Callable[[Collection[float]], float] = max) -> Actual:
    """Ours divided by that of the best peer."""

    def ratio(figures: Figures, python: Collection[str]) -> float | None:
        values = figures.get(figure, {})
        theirs = [value for name, value in values.items() if name != OURS and (name in python or not python_only)]
        return values[OURS] / best(theirs) if OURS in values and theirs else None

    return ratio


TARGETS = (
    Target("drain, one worker, x graphile-worker", 1.2, _over("drain1", "graphile-worker")),
    Target("drain, one worker, x BullMQ", 3, _over("drain1", "bullmq")),
    Target("drain, one worker, x the fastest Python peer", 15, _over_best("drain1", python_only=True)),
    Target("drain, two workers, x the fastest peer", 1, _over_best("drain2", python_only=False)),
    Target("submit, two producers, x BullMQ's add", 1.2, _over("submit", "bullmq")),
    Target("submit, two producers, x the fastest Python peer", 3, _over_best("submit", python_only=True)),
    Target("bulk, x the fastest peer", 2, _over_best("bulk", python_only=False)),
    Target("POST to handler at 100/s, p50 ms", 2.5, _value("latency100_p50_ms"), is_most=True),
    Target("POST to handler at 100/s, p99 ms", 6, _value("latency100_p99_ms"), is_most=True),
    Target("POST to handler at 1,000/s, p50 ms", 5, _value("latency1000_p50_ms"), is_most=True),
    Target("POST to handler at 1,000/s, p99 ms", 20, _value("latency1000_p99_ms"), is_most=True),
    Target("worker's CPU a job, x BullMQ", 0.5, _over("cpu_seconds_per_10k", "bullmq"), is_most=True),
    Target("worker's CPU a job, x the best Python peer", 0.1, _over_best("cpu_seconds_per_10k", python_only=True, best=min), is_most=True),
    Target("submit, one producer, x bare aiohttp echo", 0.85, _over("submit1", "bare echo")),
    Target("drain, one worker, x a bare loop of the same statements", 0.6, _over("drain_floor", "bare loop")),
)


def verdicts(figures: Figures, python: Collection[str]) -> list[dict[str, Any]]:
    """Return the verdict on every target."""
    return [target.verdict(figures, python) for target in TARGETS]


def rows(found: Collection[Mapping[str, Any]]) -> list[list[str]]:
    """Return a table of verdicts."""
    words = {True: "holds", False: "MISSED", None: "not measured"}
    shown = [
        [item["target"], item["wanted"], "-" if item["actual"] is None else f"{item['actual']:.3g}", words[item["holds"]]] for item in found
    ]
    return [["target", "wanted", "measured", ""], *shown]
