"""How an invariant is written down."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaos.history import History

Check = Callable[[History], Iterator[str]]  # of each case that it looked at: what speaks against it, or nothing
HELD = ""
EARLY_SECONDS = 0.02  # clocks of one machine, read in three processes
SHOWN = 20  # findings of one invariant that are kept; the rest is counted


@dataclass(frozen=True)
class Invariant:
    """A sentence that holds whatever happens, and the check that would find that it does not."""

    number: int
    sentence: str
    check: Check

    @property
    def name(self) -> str:
        """Number and sentence."""
        return f"{self.number}: {self.sentence}"


@dataclass(frozen=True)
class Finding:
    """Something that speaks against an invariant."""

    number: int
    sentence: str
    what: str

    @property
    def name(self) -> str:
        """Of the invariant: number and sentence."""
        return f"{self.number}: {self.sentence}"


INVARIANTS: list[Invariant] = []


def invariant(number: int, sentence: str) -> Callable[[Check], Check]:
    """Register a check; one number may have several."""

    def register(found: Check) -> Check:
        INVARIANTS.append(Invariant(number, sentence, found))
        return found

    return register


def _cases(known: Invariant, history: History) -> Iterator[str]:
    """What makes no sense to a check is a finding, too: a row that is gone, a result that is none."""
    try:
        yield from known.check(history)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        yield f"the history makes no sense: {error!r}"


def check(history: History) -> list[Finding]:
    """Return everything that speaks against any of them."""
    return judge(history)[0]


def judge(history: History) -> tuple[list[Finding], dict[str, int]]:
    """Return everything that speaks against any of them, and how many cases there were of each, by its number and sentence."""
    findings = []
    judged: Counter[str] = Counter()
    for known in sorted(INVARIANTS, key=lambda item: item.number):
        cases = [*_cases(known, history)]
        found = [what for what in cases if what != HELD]
        judged[known.name] += len(cases)
        findings += [Finding(known.number, known.sentence, what) for what in found[:SHOWN]]
        if len(found) > SHOWN:
            findings.append(Finding(known.number, known.sentence, f"and {len(found) - SHOWN} more"))
    return findings, dict(judged)
