"""The command line of the profiler."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.profile.phases import PHASES, Phase
from loadtest.sizes import Sizes


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to profile, how long, and how finely."""

    phases: tuple[Phase, ...]
    rate: int  # stacks a second
    sizes: Sizes
    settings: Mapping[str, str]  # environment of producer and consumer that wins over ours
    output: Path


def parse(argv: Sequence[str] | None, output: Path) -> Options:
    """Read the command line; exit 2 with a sentence when it is bad."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.profile", description="Show where the CPU time of a job goes.")
    parser.add_argument("--only", type=_phases, default=tuple(PHASES.values()), metavar="PHASE,...", help=", ".join(PHASES))
    parser.add_argument("--rate", type=int, default=250, help="stacks a second that py-spy reads (default 250)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each submit phase (default 8)")
    parser.add_argument("--jobs", type=int, default=150_000, help="of the drain (default 150000)")
    parser.add_argument("--env", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="a setting of millstream")
    parser.add_argument("--output", type=Path, default=output, help="where the JSON goes (default .bench/profile.json)")
    told = parser.parse_args(argv)
    sizes = Sizes(submit_seconds=told.seconds, drain_jobs=told.jobs)
    return Options(phases=told.only, rate=told.rate, sizes=sizes, settings=dict(told.env), output=told.output)


def _phases(raw: str) -> tuple[Phase, ...]:
    names = [name.strip() for name in raw.split(",") if name.strip()]
    if unknown := [name for name in names if name not in PHASES]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(PHASES)}")
    return tuple(PHASES[name] for name in names)


def _setting(raw: str) -> tuple[str, str]:
    name, equals, value = raw.partition("=")
    if not (equals and name.startswith("MILLSTREAM_")):
        raise argparse.ArgumentTypeError("must be MILLSTREAM_...=value")
    return name, value
