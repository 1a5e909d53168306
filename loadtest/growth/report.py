"""Curves as tables for people and as JSON for everything else."""

from collections.abc import Sequence
from typing import Any

from loadtest.growth.curve import Curve, Points, Target
from loadtest.report import table
from loadtest.rounds import number


def as_json(curve: Curve, points: Points) -> dict[str, Any]:
    """Return `{"title", "method", "points": {point: {measure: value}}, "targets": [{"what", "found", "wanted", "met"}]}`."""
    return {
        "title": curve.title,
        "method": curve.method,
        "points": {point: dict(sample) for point, sample in points.items()},
        "targets": [target._asdict() for target in curve.targets(points)],
    }


def as_text(curve: Curve, points: Points) -> str:
    """Return a table and a line for each target. Few points stand side by side, many below each other."""
    return "\n".join([f"{curve.name}: {curve.title}", *table(_rows(points)), *map(_told, curve.targets(points))])


def _rows(points: Points) -> Sequence[Sequence[str]]:
    measures = list(dict.fromkeys(measure for sample in points.values() for measure in sample))
    rows = [["", *measures], *([point, *_values(points, point, measures)] for point in points)]
    return rows if len(points) > len(measures) else [list(column) for column in zip(*rows, strict=True)]


def _values(points: Points, point: str, measures: Sequence[str]) -> list[str]:
    return [number(points[point][measure]) if measure in points[point] else "-" for measure in measures]


def _told(target: Target) -> str:
    return f"  {'kept' if target.met else 'MISSED'}: {target.what}: {number(target.found)}, wanted {target.wanted}"
