"""What a run came to, as a table and as JSON."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chaos.campaign import Tally
from chaos.checks import INVARIANTS
from chaos.client import OURS

OURS_ALONE = {  # what is judged of our own jobs only: what the user's should do, the suite does not know
    2: "that somebody sent it",
    3: "that its result is that of its attempt",
    4: "that it fails or is cancelled for a reason",
    6: "that no attempt fails unasked",
    8: "when it is tried again",
    12: "its webhooks: it has none",
}


def write_report(tally: Tally, folder: Path) -> None:
    """Write `result.json`, and its tables as `result.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_bytes(tally.to_json())
    (folder / "result.md").write_text(markdown(tally), encoding="utf-8")


def markdown(tally: Tally) -> str:
    """Return the tables for a document: kinds of faults, invariants, each fault; then what is said in sentences, and the findings."""
    figures = tally.figures
    kinds = [f"| {kind} | {count:,} |" for kind, count in sorted(figures.injected.items(), key=lambda item: -item[1])]
    faults = [
        f"| `{name}` | {count:,} | {len(figures.recovery.get(name, []))} | {' | '.join(_told(figures.recovery.get(name, [])))} |"
        for name, count in sorted(figures.by_fault.items())
    ]
    return "\n".join(
        [
            "| jobs accepted | lost | runs | run again because a lease was lost | leases lost | claims forgotten | findings |",
            "|---|---|---|---|---|---|---|",
            _cells(figures.accepted, figures.lost, figures.runs, figures.again, figures.allowed, figures.forgotten, len(tally.findings)),
            "",
            "| how they ended | jobs |\n|---|---|",
            *(f"| {end} | {count:,} |" for end, count in sorted(figures.ends.items())),
            "",
            "| kind | struck |\n|---|---|",
            *kinds,
            "",
            "| invariant | cases | spoke against it |\n|---|---|---|",
            *(f"| {name} | {cases:,} | {against} |" for name, cases, against in _judged(tally)),
            "",
            "| fault | struck | recoveries | p50, s | p99, s | max, s |\n|---|---|---|---|---|---|",
            *faults,
            "",
            "| where | struck |\n|---|---|",
            *(f"| {aim} | {count:,} |" for aim, count in figures.by_aim.items()),
            "",
            *_sentences(tally),
            "",
        ]
    )


def _cells(*numbers: int) -> str:
    return f"| {' | '.join(f'{number:,}' for number in numbers)} |"


def print_report(tally: Tally) -> None:
    """Print a table of the faults and sentences of the rest."""
    console, figures = Console(), tally.figures
    if not tally.segments:
        console.print(verdict(tally))
        return
    table = Table(
        "fault", "struck", "recovery p50", "p99", "max", title=f"seed {tally.seed}, {tally.segments} segments, {tally.seconds:.0f} s"
    )
    for name, count in sorted(figures.by_fault.items()):
        table.add_row(name, f"{count:,}", *_told(figures.recovery.get(name, [])))
    console.print(table)
    console.print(
        f"{figures.accepted:,} jobs accepted, {figures.lost} lost; {figures.runs:,} runs, {figures.again} of them again as a lease was "
        f"lost ({figures.allowed} leases of running jobs were, and PostgreSQL forgot {figures.forgotten} claims in crashes)"
    )
    ends = ", ".join(f"{end} {count:,}" for end, count in sorted(figures.ends.items()))
    console.print(f"Their ends: {ends}.", markup=False, highlight=False)
    for sentence in _sentences(tally):
        console.print(sentence, markup=False, highlight=False)


def verdict(tally: Tally) -> str:
    """Return the whole in a sentence."""
    if not tally.segments:
        return "No segment came to its end: nothing was judged."
    if tally.findings:
        return f"{len(tally.findings)} findings speak against an invariant."
    return "Every invariant held." if tally.figures.by_fault else "No fault struck at all: that every invariant held shows nothing."


def _sentences(tally: Tally) -> Iterator[str]:
    """What did not strike, what could not be judged, what ran again, of what the recoveries are, the verdict and the findings."""
    figures = tally.figures
    for name, why in sorted(tally.missed.items()):
        if name not in figures.by_fault:
            yield f"- {name}: never struck: {why}"
    yield from _not_judged(tally)
    yield from (f"- {end}; one of them at last by {error}" for end, error in sorted(figures.errors.items()))
    if figures.again:
        yield f"- run again: {', '.join(_again(tally))}; among them"
        yield from (f"  - {job} ({kind}): {runs} runs" for job, kind, runs in figures.examples)
    if figures.unanswered or figures.repeated:
        yield f"- submissions: {figures.unanswered:,} got no answer; {figures.repeated:,} had an idempotency key that was sent before"
    if figures.pairs:
        yield f"- {len(figures.pairs):,} different pairs of faults were under way at the same time, {sum(figures.pairs.values()):,} in all"
    if tally.at_a_time > 1:
        yield f"- up to {tally.at_a_time} faults at a time: their recoveries are not of one fault; `--themes alone` measures each by itself"
    yield f"- {verdict(tally)}"
    for number, finding in tally.findings:
        yield f"  - segment {number}, invariant {finding.number} ({finding.sentence}): {finding.what}"


def _not_judged(tally: Tally) -> Iterator[str]:
    if tally.segments and (unseen := list(_unseen(tally))):
        yield "- no case of these came up; a longer run, or one with more themes, has some:"
        yield from (f"  - {name}" for name in unseen)
    if tally.theirs:
        yield f"- of {', '.join(tally.theirs)} these parts of invariants were not judged:"
        yield from (f"  - {number}: {part}" for number, part in OURS_ALONE.items())


def _unseen(tally: Tally) -> Iterator[str]:
    """Invariants of which no case came up, but for those that are not judged of the user's jobs."""
    for known in sorted(INVARIANTS, key=lambda known: known.number):
        if not (tally.figures.judged.get(known.name, 0) or (tally.theirs and known.number in OURS_ALONE)):
            yield known.name


def _again(tally: Tally) -> Iterator[str]:
    for kind, count in sorted(tally.figures.again_by_type.items()):
        yield f"{kind} {count:,}{' (the suite has schedules of it)' if tally.theirs and kind.startswith(OURS) else ''}"


def _judged(tally: Tally) -> Iterator[tuple[str, int, int]]:
    """By invariant how many cases there were and how many findings."""
    against = Counter(f"{finding.number}: {finding.sentence}" for _, finding in tally.findings)
    for known in sorted(INVARIANTS, key=lambda known: known.number):
        yield known.name, tally.figures.judged.get(known.name, 0), against[known.name]


def _told(seconds: Sequence[float]) -> list[str]:
    return ["-" if value is None else f"{value:.2f}" for value in _shares(seconds)]


def _shares(seconds: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    if not seconds:
        return None, None, None
    ranked = sorted(seconds)
    return statistics.median(ranked), ranked[round((len(ranked) - 1) * 0.99)], ranked[-1]
