"""The command line of `python -m chaos`."""

import argparse
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.faults import FAULTS
from chaos.themes import THEMES

OUTPUT = Path(".chaos")


@dataclass(frozen=True)
class Options:
    """What to do."""

    seed: int
    seconds: float
    load_seconds: float
    rate: float
    themes: Sequence[str]
    faults: Sequence[str]
    handlers: Sequence[str]
    jobs: Sequence[tuple[str, dict[str, Any]]]
    settings: dict[str, str]
    consumers: int
    producers: int
    campaign: bool
    resume: Path | None
    output: Path


def parse(words: Sequence[str]) -> Options:
    """Read the command line. Ends the process with a sentence when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break everything around your jobs, and check that none is lost.")
    parser.add_argument("--seed", type=int, help="repeat the choices of an earlier run (default: by chance, it is printed)")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long to go on; the segment under way is finished (default 300)")
    parser.add_argument(
        "--load-seconds", type=float, default=25.0, help="load and faults in a segment; then all is healed and checked (default 25)"
    )
    parser.add_argument("--rate", type=float, default=30.0, help="requests a second; one in four submits many jobs (default 30)")
    parser.add_argument(
        "--themes", type=_names(THEMES), default=(), metavar="THEME,...", help=f"segments of these only: {', '.join(THEMES)}"
    )
    parser.add_argument("--faults", type=_names(FAULTS), default=(), metavar="FAULT,...", help="these faults only: " + ", ".join(FAULTS))
    parser.add_argument("--handlers", type=_words, default=(), metavar="MODULE,...", help="modules with your own @job handlers")
    parser.add_argument(
        "--job", action="append", nargs=2, default=[], metavar=("TYPE", "JSON"), help="submit this instead of our own jobs; may be repeated"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the service, as in its environment; may be repeated"
    )
    parser.add_argument("--consumers", type=int, default=0, help="default: 2 to 4, by the seed")
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument(
        "--campaign",
        action="store_true",
        help="go on until each kind of fault has struck 300 times, SIGKILL 3,000, and 1,000,000 jobs were accepted",
    )
    parser.add_argument("--resume", type=Path, metavar="FILE", help="go on with the campaign of this file, or begin it there")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where report and histories go (default .chaos)")
    told = parser.parse_args(words)
    try:
        jobs = [(kind, json.loads(payload)) for kind, payload in told.job]
        settings = dict(_pair(text) for text in told.set)
    except ValueError as error:
        parser.error(str(error))
    return Options(
        seed=told.seed if told.seed is not None else secrets.randbelow(2**31),
        seconds=told.seconds,
        load_seconds=told.load_seconds,
        rate=told.rate,
        themes=told.themes,
        faults=told.faults,
        handlers=told.handlers,
        jobs=jobs,
        settings=settings,
        consumers=told.consumers,
        producers=told.producers,
        campaign=told.campaign or told.resume is not None,
        resume=told.resume,
        output=told.output,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _names(known: Any) -> Any:
    def parsed(text: str) -> tuple[str, ...]:
        if strangers := [name for name in _words(text) if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(strangers)}")
        return _words(text)

    return parsed


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text}: wants NAME=VALUE")
    return name, value
