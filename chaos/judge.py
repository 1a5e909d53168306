"""`python -m chaos.judge FOLDER`: judge again what a run has kept, by the checks and definitions of now."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chaos.campaign import Tally, save, segment_name
from chaos.figures import Figures
from chaos.outcome import FILE, kept, outcome_of
from chaos.report import markdown

OK, BROKEN, SENSELESS = 0, 1, 2


def main(words: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Print the report anew. 0 when every invariant holds, 1 when not, 2 when nothing is there to be judged."""
    parser = argparse.ArgumentParser(prog="python -m chaos.judge", description="Judge again what a run of chaos has kept.")
    parser.add_argument("folder", type=Path, help="the --output of the run")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="write to it what a campaign goes on from, as it is judged now")
    options = parser.parse_args(words)
    folder: Path = options.folder
    result, places = folder / "result.json", sorted(file.parent for file in folder.glob(f"segment-*/{FILE}"))
    if not (result.exists() and places):
        return _senseless(f"{folder} has no result.json, or no segment with its history: name the --output of a run")
    before = Tally.from_json(result.read_bytes())
    if options.resume and [place.name for place in places] != [segment_name(number) for number in range(before.segments)]:
        return _senseless(f"{folder} has not the histories of all {before.segments} segments: the campaign cannot go on as if it had")
    tally = judged(before, places)
    print(markdown(tally), end="")
    try:
        if options.resume:
            save(options.resume, tally)
    except OSError as error:
        return _senseless(f"{error.filename}: {error.strerror}: name a place that can be written to, by --resume")
    return BROKEN if tally.findings else OK


def _senseless(why: str) -> int:
    print(f"chaos: {why}", file=sys.stderr)
    return SENSELESS


def judged(tally: Tally, places: Sequence[Path]) -> Tally:
    """Return what the run that came to `tally` comes to now, by the segments that are there."""
    anew = replace(tally, segments=len(places), figures=Figures(), findings=[])
    for place in places:
        outcome = outcome_of(kept(place), {})
        anew.figures.add(outcome.figures)
        anew.findings += [(int(place.name.rpartition("-")[2]), finding) for finding in outcome.findings]
    return anew


if __name__ == "__main__":
    sys.exit(main())
