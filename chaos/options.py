"""The command line of `python -m chaos`."""

import argparse
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chaos.client import OURS
from chaos.environment import RESERVED
from chaos.faults import FAULTS
from chaos.segment import PATIENCE_SECONDS
from chaos.themes import THEMES
from producer.near_names import near_names
from shared.settings import Settings, variable

OUTPUT = Path(".chaos")
SETTINGS = [variable(item.name) for item in fields(Settings)]
CHECKOUT = ("producer/__main__.py", "consumer/__main__.py", "chaos/spy.py", "chaos/work.py")
OF_THE_STORE = "AWS_"  # where artifacts are kept, see docs/artifacts.md


@dataclass(frozen=True)
class Options:
    """What to do."""

    seed: int
    seconds: float
    load_seconds: float
    patience: float
    rate: float
    bulk: int
    themes: Sequence[str]
    faults: Sequence[str]
    handlers: Sequence[str]
    jobs: Sequence[tuple[str, dict[str, Any]]]
    settings: dict[str, str]
    consumers: int
    producers: int
    earlier: Path | None
    campaign: bool
    resume: Path | None
    output: Path

    @property
    def theirs(self) -> list[str]:
        """The types of the user's own jobs."""
        return sorted({kind for kind, _ in self.jobs if not kind.startswith(OURS)})


def parse(words: Sequence[str]) -> Options:
    """Read the command line. Ends the process with a sentence when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break everything around your jobs, and check that none is lost.")
    for add in (_add_length, _add_load, _add_faults, _add_users, _add_campaign):
        add(parser.add_argument)
    told = vars(parser.parse_args(words))
    try:
        told["jobs"] = [(kind, _payload(kind, payload)) for kind, payload in told["jobs"]]
        told["settings"] = dict(map(_variable, told.pop("variables"))) | dict(map(_setting, told["settings"]))
    except ValueError as error:
        parser.error(str(error))
    if told["seed"] is None:
        told["seed"] = secrets.randbelow(2**31)
    told["campaign"] = told["campaign"] or told["resume"] is not None
    options = Options(**told)
    if options.handlers and not options.theirs:
        parser.error(f"--handlers {','.join(options.handlers)}: say with --job TYPE JSON what to submit, or they never run")
    return options


def _add_length(add: Callable[..., Any]) -> None:
    add("--seed", type=int, help="repeat the choices of an earlier run (default: by chance, it is printed)")
    add("--seconds", type=_positive, default=300.0, help="go on for so long; the segment under way is finished (default 300)")
    of_a_segment = "of load and faults in a segment, which is then healed and checked (default 25)"
    add("--load-seconds", type=_positive, default=25.0, help=of_a_segment)
    patience = "after the healing of a segment all jobs have to be over within so long (default 120)"
    add("--patience", type=_positive, default=PATIENCE_SECONDS, metavar="SECONDS", help=patience)


def _add_load(add: Callable[..., Any]) -> None:
    add("--rate", type=_positive, default=30.0, help="requests a second; one in four submits many jobs (default 30)")
    add("--bulk", type=_some, default=40, help="jobs of the largest bulk request (default 40)")
    add("--consumers", type=_some, default=0, help="processes (default: 2 to 4, by the seed)")
    add("--producers", type=_some, default=2, help="processes (default 2)")


def _add_faults(add: Callable[..., Any]) -> None:
    one_by_one = "these faults only (with --themes alone: one at a time)"
    add("--themes", type=_names(THEMES), default=(), metavar="THEME,...", help=f"segments of these only: {', '.join(THEMES)}")
    earlier = "the checkout of an earlier version, which all processes begin with: upgrade.rolling goes from it to this one, and back"
    add("--upgrade-from", dest="earlier", type=_checkout, metavar="DIR", help=earlier)
    add("--faults", type=_names(FAULTS), default=(), metavar="FAULT,...", help=f"{one_by_one}: {', '.join(FAULTS)}")


def _add_users(add: Callable[..., Any]) -> None:
    repeated = {"action": "append", "default": []}
    submitted = "submit this, not our own jobs; {n} in a string is another number for each job; may be repeated"
    add("--handlers", type=_words, default=(), metavar="MODULE,...", help="modules with your own @job handlers; wants --job, too")
    add("--job", dest="jobs", **repeated, nargs=2, metavar=("TYPE", "JSON"), help=submitted)
    add("--set", dest="settings", **repeated, metavar="NAME=VALUE", help="a setting of the service, by its variable; may be repeated")
    add("--env", dest="variables", **repeated, metavar="NAME=VALUE", help="a variable that your handlers read; may be repeated")


def _add_campaign(add: Callable[..., Any]) -> None:
    add("--campaign", action="store_true", help="go on until every kind of fault has struck 300 times, SIGKILL 3,000, for 1,000,000 jobs")
    add("--resume", type=Path, metavar="FILE", help="go on with the campaign of this file, or begin it there")
    add("--output", type=Path, default=OUTPUT, help="where report and histories go (default .chaos)")


def _positive(text: str) -> float:
    with suppress(ValueError):
        if 0 < (value := float(text)) < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"{text}: wants a number, more than 0")


def _some(text: str) -> int:
    with suppress(ValueError):
        if (value := int(text)) >= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text}: wants a whole number, at least 1")


def _checkout(text: str) -> Path:
    """Return the folder of one that has this suite's part in its processes, too."""
    folder = Path(text).resolve()
    if folder == Path.cwd():
        raise argparse.ArgumentTypeError(f"{text}: is this version; name the checkout of an earlier one")
    if lacking := [name for name in CHECKOUT if not (folder / name).is_file()]:
        raise argparse.ArgumentTypeError(f"{text}: is no checkout of a millstream with a chaos suite: there is no {lacking[0]}")
    return folder


def _payload(kind: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--job {kind} {text}: is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"--job {kind} {text}: a payload is a JSON object")  # noqa: TRY004 - a value of the command line
    return value


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _names(known: Any) -> Any:
    def parsed(text: str) -> tuple[str, ...]:
        if strangers := [name for name in _words(text) if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(strangers)}{_meant(strangers[0], known)}")
        return _words(text)

    return parsed


def _meant(name: str, known: Iterable[str]) -> str:
    near = near_names(name, known)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _setting(text: str) -> tuple[str, str]:
    """One that the service knows, and that the suite leaves to others."""
    name, value = _pair("--set", text)
    if name not in SETTINGS and not name.startswith(OF_THE_STORE):
        meant = _meant(name, {*SETTINGS} - {*RESERVED})
        raise ValueError(f"--set {name}: is no setting of the service{meant}. What only your handlers read wants --env")
    return name, value


def _variable(text: str) -> tuple[str, str]:
    """One that the service does not know."""
    name, value = _pair("--env", text)
    if name in SETTINGS or name.startswith("MILLSTREAM_"):
        raise ValueError(f"--env {name}: is for the service, not for your handlers: it wants --set")
    return name, value


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{option} {text}: wants NAME=VALUE")
    if name in RESERVED:
        raise ValueError(f"{option} {name}: is the suite's own: servers, port, folders and handlers (--handlers) are those of the run")
    return name, value
