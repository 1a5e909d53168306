"""Segment after segment, until the time is over or the aims of a campaign are reached. A campaign goes on where its file says."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

import msgspec

from chaos.checks import INVARIANTS, Finding
from chaos.figures import Figures
from chaos.options import Options
from chaos.outcome import Outcome
from chaos.segment import Plan, Say, run_segment
from chaos.servers import Servers
from chaos.shape import Shape
from chaos.themes import KINDS, LEAST_SECONDS, QUICK, USUAL, faults_of, hands_for, pause_for, theme_for
from shared.errors import ConfigError

AIM = 300
AIMS = {"SIGKILL": 3000}
JOBS = 1_000_000
CASES = 10  # of each invariant
NUMBERS = 10_000_000  # for the jobs of one segment
ROLLING = "upgrade.rolling"
CHOSEN = "chosen faults"
TARGETED = 0.8  # of a campaign's segments; the others are as in a short run
AT_A_TIME = 4


@dataclass
class Tally:
    """What all segments so far came to."""

    seed: int
    segments: int = 0
    figures: Figures = field(default_factory=Figures)
    findings: list[tuple[int, Finding]] = field(default_factory=list)  # with the number of the segment
    missed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    theirs: list[str] = field(default_factory=list)  # types of the user's own jobs, submitted instead of ours
    at_a_time: int = 1  # faults, at most, in any segment

    def add(self, plan: Plan, outcome: Outcome, seconds: float) -> None:
        """Add a segment."""
        self.at_a_time = max(self.at_a_time, plan.hands)
        self.figures.add(outcome.figures)
        self.findings += [(self.segments, finding) for finding in outcome.findings]
        self.missed |= outcome.missed
        self.segments += 1
        self.seconds += seconds

    def to_json(self) -> bytes:
        """Return all of it."""
        return msgspec.json.format(msgspec.json.encode(self))

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read it back."""
        return msgspec.json.decode(text, type=cls)


async def run(options: Options, tally: Tally, folder: Path, say: Say, after: Callable[[int, Plan, Outcome], None]) -> None:
    """Run segments, and add each to `tally`; `after(number, plan, outcome)` hears of it. `folder` is for the servers' data."""
    until = time.monotonic() + options.seconds
    servers = Servers(folder)
    servers.start()
    try:
        for plan in plans(options, tally):
            began = time.monotonic()
            place = options.output / segment_name(tally.segments)
            number = tally.segments
            say(f"segment {number} ({plan.theme}): load and faults for {plan.seconds:g} s, and until the last fault is over")
            outcome = await run_segment(servers, plan, place, say)
            tally.add(plan, outcome, time.monotonic() - began)
            after(number, plan, outcome)
            say(_line(number, plan, outcome))
            if options.resume:
                save(options.resume, tally)
            if time.monotonic() > until:
                break
    finally:
        servers.stop()


def segment_name(number: int) -> str:
    """Return the name of the folder in which a segment is kept."""
    return f"segment-{number:04}"


def save(file: Path, tally: Tally) -> None:
    """Write down what a campaign goes on from. Whatever ends us in this moment: the old one is there, or the new one."""
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(tally.to_json())
    new.replace(file)


def begun(options: Options) -> Tally:
    """Return what has been done before, as the file to go on with says. Raises ConfigError when that is none of ours, or has no place."""
    file = options.resume
    _make_room(options)
    try:
        tally = Tally.from_json(file.read_bytes()) if file and file.exists() else Tally(options.seed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file} is not the state of a campaign ({error}): name another file, or one that is not there yet"]) from None
    tally.theirs = sorted({*tally.theirs, *options.theirs})
    return tally


def _make_room(options: Options) -> None:
    """Before anything is run: what comes of it shall have a place."""
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        if options.resume:
            options.resume.parent.mkdir(parents=True, exist_ok=True)
            if options.resume.exists():
                options.resume.read_bytes()
    except OSError as error:
        raise ConfigError([f"{error.filename}: {error.strerror}: name a place that can be written to, by --output or --resume"]) from None


def plans(options: Options, tally: Tally) -> Iterator[Plan]:
    """Yield the next segment, each by what `tally` has come to; none when a campaign has reached its aims."""
    while not (options.campaign and _reached(tally.figures)):
        dice = Random(f"{tally.seed}/{tally.segments}")
        themes = _themes(options, tally, dice)
        seed = dice.randrange(2**31)
        shape = Shape(options.producers, options.consumers or dice.choice([2, 3, 4]), split=dice.random() < 0.4, earlier=options.earlier)
        yield Plan(
            seed=seed,
            theme=" + ".join(themes) or CHOSEN,
            faults=_faults(options, themes, tally),
            seconds=max([options.load_seconds, *(LEAST_SECONDS[theme] for theme in themes if theme in LEAST_SECONDS)]),
            rate=options.rate,
            bulk=options.bulk,
            shape=shape,
            hands=hands_for(themes, shape.processes),
            pause=pause_for(themes),
            patience=options.patience,
            settings=options.settings,
            handlers=options.handlers,
            jobs=options.jobs,
            first=tally.segments * NUMBERS + 1,
        )


def _faults(options: Options, themes: Sequence[str], tally: Tally) -> Sequence[str]:
    """With an earlier version there is an upgrade in every segment: otherwise it would show that one alone."""
    chosen = options.faults or faults_of(themes, tally.figures.by_fault)
    return chosen if options.earlier is None else [*dict.fromkeys([*chosen, ROLLING])]


def _themes(options: Options, tally: Tally, dice: Random) -> Sequence[str]:
    """None when only faults were chosen. A campaign breaks four things at a time, those that it has broken least; a short run two."""
    if options.themes:
        return (options.themes[tally.segments % len(options.themes)],)
    if options.faults:
        return ()
    if options.campaign and dice.random() < TARGETED:
        deficits = sorted(_deficits(tally.figures).items(), key=lambda item: -item[1])
        if lacking := tuple(dict.fromkeys(theme_for(kind) for kind, share in deficits if share > 0)):
            return lacking[:AT_A_TIME]
    if options.campaign:
        return (USUAL[(tally.seed + tally.segments) % len(USUAL)],)
    first = tally.seed + 2 * tally.segments
    return tuple(QUICK[(first + turn) % len(QUICK)] for turn in range(2))


def _deficits(figures: Figures) -> dict[str, float]:
    """By kind the share of its aim that is still to come."""
    return {kind: 1 - figures.injected.get(kind, 0) / AIMS.get(kind, AIM) for kind in KINDS}


def _reached(figures: Figures) -> bool:
    """Jobs, faults, and some cases of each invariant: what was hardly ever looked at was not shown."""
    enough = figures.accepted >= JOBS and all(share <= 0 for share in _deficits(figures).values())
    return enough and all(figures.judged.get(known.name, 0) >= CASES for known in INVARIANTS)


def _line(number: int, plan: Plan, outcome: Outcome) -> str:
    figures = outcome.figures
    verdict = "holds" if not outcome.findings else f"{len(outcome.findings)} FINDINGS"
    return (
        f"segment {number} ({plan.theme}): {sum(figures.injected.values())} injections, {figures.accepted:,} jobs accepted, "
        f"{figures.lost} lost, {figures.again} run again by lost leases; {verdict}"
    )
