"""`python -m chaos.judge FOLDER`: judge again what a run has kept, by the checks and definitions of now."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chaos.campaign import Tally
from chaos.figures import Figures
from chaos.outcome import FILE, kept, outcome_of
from chaos.report import markdown

OK, BROKEN, SENSELESS = 0, 1, 2


def main(words: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Print the report anew. 0 when every invariant holds, 1 when not, 2 when nothing is there to be judged."""
    parser = argparse.ArgumentParser(prog="python -m chaos.judge", description="Judge again what a run of chaos has kept.")
    parser.add_argument("folder", type=Path, help="the --output of the run")
    folder = parser.parse_args(words).folder
    result, places = folder / "result.json", sorted(file.parent for file in folder.glob(f"segment-*/{FILE}"))
    if not (result.exists() and places):
        print(f"chaos: {folder} has no result.json, or no segment with its history: name the --output of a run", file=sys.stderr)
        return SENSELESS
    tally = judged(Tally.from_json(result.read_bytes()), places)
    print(markdown(tally), end="")
    return BROKEN if tally.findings else OK


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
