"""The command line of the benchmark."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from loadtest.figures import FIGURES, Figure
from loadtest.peers import Peer, known
from loadtest.sizes import FULL, QUICK, Sizes

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure and how long."""

    rounds: int
    figures: tuple[Figure, ...]
    peers: tuple[Peer, ...]
    sizes: Sizes
    settings: Mapping[str, str]  # environment of producer and consumer that wins over ours
    output: Path


def parse(argv: Sequence[str] | None, output: Path) -> Options:
    """Read the command line; exit 2 with a sentence when it is bad."""
    peers = {peer.name: peer for peer in known()}
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description="Measure millstream next to its peers.")
    parser.add_argument("--rounds", type=_positive, default=5, help="rounds of each figure (default 5)")
    parser.add_argument("--only", type=_chosen(FIGURES), default=tuple(FIGURES.values()), metavar="FIGURE,...", help=", ".join(FIGURES))
    parser.add_argument("--peers", type=_chosen(peers), default=tuple(peers.values()), metavar="PEER,...", help=", ".join(peers))
    parser.add_argument("--no-peers", action="store_const", const=(), dest="peers", help="measure millstream alone")
    parser.add_argument("--quick", action="store_true", help="small amounts, to see that it works: such numbers mean little")
    parser.add_argument("--env", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="a setting of millstream")
    parser.add_argument("--output", type=Path, default=output, help="where the JSON goes (default .bench/results.json)")
    told = parser.parse_args(argv)
    return Options(
        rounds=told.rounds,
        figures=told.only,
        peers=told.peers,
        sizes=QUICK if told.quick else FULL,
        settings=dict(told.env),
        output=told.output,
    )


def _positive(raw: str) -> int:
    value = int(raw)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _chosen(known_by_name: Mapping[str, T]) -> Callable[[str], tuple[T, ...]]:
    def choose(raw: str) -> tuple[T, ...]:
        names = [name.strip() for name in raw.split(",") if name.strip()]
        unknown = [name for name in names if name not in known_by_name]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known_by_name)}")
        return tuple(known_by_name[name] for name in names)

    return choose


def _setting(raw: str) -> tuple[str, str]:
    name, equals, value = raw.partition("=")
    if not (equals and name.startswith("MILLSTREAM_")):
        raise argparse.ArgumentTypeError("must be MILLSTREAM_...=value")
    return name, value
