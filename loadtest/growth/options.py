"""The command line of the curves."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.growth.amounts import FULL, QUICK, Amounts
from loadtest.growth.curve import Curve
from loadtest.growth.curves import CURVES


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which curves, and how far."""

    curves: tuple[Curve, ...]
    amounts: Amounts
    output: Path


def parse(argv: Sequence[str] | None, output: Path) -> Options:
    """Read the command line; exit 2 with a sentence when it is bad."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.growth", description="Measure what things cost as work grows.")
    parser.add_argument("--only", type=_curves, default=tuple(CURVES.values()), metavar="CURVE,...", help=", ".join(CURVES))
    parser.add_argument("--quick", action="store_true", help="small amounts, to see that it works: such numbers mean little")
    parser.add_argument("--output", type=Path, default=output, help="where the JSON goes (default .bench/growth.json)")
    told = parser.parse_args(argv)
    return Options(curves=told.only, amounts=QUICK if told.quick else FULL, output=told.output)


def _curves(raw: str) -> tuple[Curve, ...]:
    names = [name.strip() for name in raw.split(",") if name.strip()]
    if unknown := [name for name in names if name not in CURVES]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(CURVES)}")
    return tuple(CURVES[name] for name in names)
