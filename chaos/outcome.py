"""What came of a segment: its history, judged; the history is kept, so that it can be judged again."""

import gzip
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.checks import Finding, judge
from chaos.figures import Figures, figures_of
from chaos.history import History

FILE = "history.pickle.gz"
QUICK = 1  # level of the compression


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    findings: Sequence[Finding]
    figures: Figures
    missed: Mapping[str, str]
    history: History


def outcome_of(history: History, missed: Mapping[str, str]) -> Outcome:
    """Judge it; without its rows nothing can be said but that it did not come back."""
    findings, judged = judge(history if history.rows_read else History(stranded=history.stranded))
    return Outcome(findings, replace(figures_of(history), judged=judged), missed, history)


def keep(history: History, folder: Path) -> None:
    """Write it down."""
    with gzip.open(folder / FILE, "wb", QUICK) as file:
        pickle.dump(history, file)


def kept(folder: Path) -> History:
    """Read it back; what was not kept yet when it was written is as in an empty one."""
    with gzip.open(folder / FILE) as file:
        history: History = pickle.load(file)  # noqa: S301 - the suite has written it
    history.__dict__ = vars(History()) | vars(history)
    return history
