"""The hunt for mistakes goes on, whatever becomes of a segment, and its table is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chaos.checks import INVARIANTS, Finding, jobs
from chaos.errors import ChaosError
from chaos.figures import Figures
from chaos.history import History
from chaos.mutants import __main__ as mutants
from chaos.mutants.mistakes import MISTAKES
from chaos.mutants.plans import plan_for
from chaos.outcome import Outcome
from chaos.segment import Plan

LOST = next(known for known in INVARIANTS if known.check is jobs.nothing_is_lost)
STRANDED = Finding(LOST.number, LOST.sentence, "the service did not come back within 60 s: all processes run again")
COLUMNS = 4  # of the table of mistakes
BY_ONE = next(name for name, mistake in MISTAKES.items() if mistake.found_by == {LOST.name})
BY_ANOTHER = next(name for name, mistake in MISTAKES.items() if LOST.name not in mistake.found_by)


class NoServers:
    """Nothing is started here."""

    def __init__(self, _folder: Path) -> None:
        """Have no folder."""

    def start(self) -> None:
        """Start none."""

    def stop(self) -> None:
        """Stop none."""


async def hunted(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    came: Mapping[str, Finding | Exception],
    ran: list[str] | None = None,
    *,
    sound: Finding | None = None,
) -> list[mutants.Kill]:
    """Hunt; `came` is what comes of the segments with a mistake, `sound` of the others. `ran` hears of each segment's mistake."""
    told = [] if ran is None else ran

    async def run_segment(_servers: object, plan: Plan, _folder: object) -> Outcome:
        told.append(plan.shape.mistake)
        what = came.get(plan.shape.mistake, sound)
        if isinstance(what, Exception):
            raise what
        return Outcome([what] if what else [], Figures(), {}, History())

    servers: Any = NoServers
    monkeypatch.setattr(mutants, "Servers", servers)
    monkeypatch.setattr(mutants, "run_segment", run_segment)
    return await mutants.hunt([*came], folder, folder)


async def test_who_does_not_come_back_is_caught_by_the_first_invariant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mistake of which that one does not speak is not."""
    kills = await hunted(monkeypatch, tmp_path, dict.fromkeys([BY_ONE, BY_ANOTHER], STRANDED))
    assert [bool(kill.missing) for kill in kills] == [False, True]


async def test_who_does_not_come_up_is_not_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the others have their turn."""
    error = ChaosError("the service did not come up: consumer-1 ended with 1")
    kills = await hunted(monkeypatch, tmp_path, {BY_ANOTHER: error, BY_ONE: STRANDED})
    assert [bool(kill.missing) for kill in kills] == [True, False]
    assert "consumer-1 ended with 1" in capsys.readouterr().out


async def test_what_is_sound_is_run_once_for_all_that_have_the_same_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And its findings are told of each of them; a plan with faults that never strike shows nothing."""
    plain = [name for name in MISTAKES if not plan_for(name)[1].faults]
    like = [name for name in plain if plan_for(name)[1] == plan_for(plain[0])[1]]
    struck = next(name for name in MISTAKES if plan_for(name)[1].faults)
    ran: list[str] = []
    kills = await hunted(monkeypatch, tmp_path, dict.fromkeys((*like, struck), STRANDED), ran, sound=STRANDED)
    assert ran.count("") == 2
    assert len(like) > 1
    assert [len(kill.false_alarms) for kill in kills] == [1] * len(like) + [2]
    assert kills[-1].false_alarms[-1].sentence == "a fault strikes"


async def test_the_table_is_there_after_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also when the hunt breaks off later."""
    with pytest.raises(ZeroDivisionError):
        await hunted(monkeypatch, tmp_path, {BY_ONE: STRANDED, BY_ANOTHER: ZeroDivisionError()})
    assert BY_ONE.replace("-", " ") in (tmp_path / "table.md").read_text()


def test_the_document_has_a_row_for_each() -> None:
    """With what it does, and who has to find it, as the code says it."""
    rows = (line.split(" | ") for line in Path("docs/reliability.md").read_text(encoding="utf-8").splitlines())
    told = {row[0].removeprefix("| "): (row[1], row[2]) for row in rows if len(row) == COLUMNS}
    for name, mistake in MISTAKES.items():
        assert told[name.replace("-", " ")] == (mistake.does, "; ".join(sorted(mistake.found_by)))
