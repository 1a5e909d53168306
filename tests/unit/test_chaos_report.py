"""What a chaos run says in the end, with which code it ends, and that it says so however it ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from chaos import __main__ as command
from chaos import campaign
from chaos.campaign import Tally, segment_name
from chaos.checks import INVARIANTS, Finding
from chaos.errors import ChaosError
from chaos.figures import Figures
from chaos.history import History
from chaos.options import parse
from chaos.outcome import Outcome
from chaos.report import OURS_ALONE, markdown
from chaos.segment import Plan
from chaos.shape import Shape
from chaos.timeline import SECTION

LOST = Finding(1, "nothing is lost", "the service did not come back within 60 s: all processes run again")
PLAN = Plan(seed=1, theme="kills", faults=(), seconds=1.0, rate=1.0, shape=Shape())
STRUCK = {"consumer.kill": 2}
OUTCOME = Outcome([], Figures(accepted=5, by_fault=STRUCK), {}, History())


def ended(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *findings: Finding,
    error: BaseException | None = None,
    by_fault: dict[str, int] = STRUCK,
    more: Sequence[str] = (),
) -> int:
    """Run one segment with these findings, then the error; return the exit code."""

    async def run(_options: object, tally: Tally, _folder: object, _say: object, after: Any) -> None:
        outcome = Outcome(findings, Figures(accepted=5, by_fault=by_fault), {"redis.disk": "no disk"}, History())
        (folder / segment_name(tally.segments)).mkdir()
        after(tally.segments, PLAN, outcome)
        tally.add(PLAN, outcome, 1.0)
        await asyncio.sleep(0)
        if error:
            raise error

    monkeypatch.setattr(campaign, "run", run)
    return command.main(["--seed", "5", "--output", str(folder), *more])


@pytest.mark.parametrize(
    ("findings", "error", "code"),
    [
        ([], None, 0),
        ([LOST], None, 1),
        ([], ChaosError("the service did not come up"), 69),
        ([LOST], ChaosError("the service did not come up"), 1),
        ([], ZeroDivisionError("a slip"), 70),
        ([LOST], ZeroDivisionError("a slip"), 1),
        ([], asyncio.CancelledError(), 130),
        ([LOST], asyncio.CancelledError(), 130),
    ],
)
def test_what_was_found_is_told_however_the_run_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, findings: list[Finding], error: BaseException | None, code: int
) -> None:
    """The segment that ended is in all three files."""
    assert ended(monkeypatch, tmp_path, *findings, error=error) == code
    result = orjson.loads((tmp_path / "result.json").read_bytes())
    assert (result["segments"], len(result["findings"])) == (1, len(findings))
    assert "| 5 | 0 |" in (tmp_path / "result.md").read_text()
    assert (LOST.what in (tmp_path / "result.md").read_text()) == bool(findings)
    assert "Segment 0: kills" in (tmp_path / "timeline.html").read_text()


def test_a_run_in_which_nothing_struck_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, and why."""
    assert ended(monkeypatch, tmp_path, by_fault={}) == 69
    said = capsys.readouterr().out
    assert "No fault struck at all" in said
    assert "redis.disk: never struck: no disk" in said
    assert "No fault struck at all" in (tmp_path / "timeline.html").read_text()


def test_who_goes_on_shows_what_was_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The timeline is of the campaign's last segments; a new run begins with none."""
    (tmp_path / segment_name(0)).mkdir()
    (tmp_path / segment_name(0) / SECTION).write_text("of an earlier run")
    campaign_file = tmp_path / "campaign.json"
    campaign_file.write_bytes(Tally(5, segments=1).to_json())
    ended(monkeypatch, tmp_path, more=["--resume", str(campaign_file)])
    told = (tmp_path / "timeline.html").read_text()
    assert told.index("of an earlier run") < told.index("Segment 1: kills")
    ended(monkeypatch, tmp_path)
    assert "of an earlier run" not in (tmp_path / "timeline.html").read_text()


def test_a_run_without_a_segment_does_not_claim_anything() -> None:
    """Neither that all held, nor that nothing struck."""
    assert "- No segment came to its end: nothing was judged." in markdown(Tally(1))


def test_the_seed_is_that_of_the_campaign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which goes on by it, whatever chance gave now."""
    file = tmp_path / "campaign.json"
    file.write_bytes(Tally(2105).to_json())

    async def run(*_: object) -> None:
        """Do nothing."""

    monkeypatch.setattr(campaign, "run", run)
    command.main(["--resume", str(file), "--output", str(tmp_path)])
    assert capsys.readouterr().out.startswith("seed 2105\n")


def test_the_recoveries_of_several_faults_at_a_time_are_named_as_such() -> None:
    """As soon as one segment had them."""
    tally = Tally(1)
    tally.add(replace(PLAN, hands=1), OUTCOME, 1.0)
    assert "not of one fault" not in markdown(tally)
    tally.add(replace(PLAN, hands=4), OUTCOME, 1.0)
    tally.add(replace(PLAN, hands=1), OUTCOME, 1.0)
    assert "up to 4 faults at a time: their recoveries are not of one fault" in markdown(tally)


def test_what_is_not_judged_of_the_users_jobs_is_said() -> None:
    """By number; of our own jobs all is."""
    users = markdown(Tally(1, theirs=parse(["--job", "shop.order", "{}"]).theirs))
    assert "of shop.order these parts of invariants were not judged" in users
    assert all(f"- {number}: " in users for number in OURS_ALONE)
    assert "not judged" not in markdown(Tally(1, theirs=parse(["--job", "chaos.work", "{}"]).theirs))
    assert {*OURS_ALONE} < {known.number for known in INVARIANTS}


def test_what_no_case_came_up_of_is_said_but_for_what_is_not_judged() -> None:
    """One who reads that all held should know of what."""
    unseen = "1: every job that was answered 2xx is in a terminal state in the end"
    told = markdown(Tally(1, segments=1))
    assert f"  - {unseen}" in told
    assert "  - 8: a retry comes after 2, 4, 8 s" in told
    theirs = markdown(Tally(1, segments=1, theirs=["shop.order"], figures=Figures(judged={unseen: 1})))
    assert f"  - {unseen}" not in theirs
    assert "  - 8: a retry comes after 2, 4, 8 s" not in theirs
    assert "no case of these" not in markdown(Tally(1))


def test_whose_fault_it_is_that_a_users_job_failed_is_told() -> None:
    """By type and by what it raised; what the suite submits beside theirs is named as such."""
    figures = Figures(ends={"shop.order FAILED: attempts_spent": 3}, errors={"shop.order FAILED: attempts_spent": "KeyError: 'id'"})
    figures.again, figures.again_by_type = 1, {"chaos.work": 1}
    told = markdown(Tally(1, segments=1, figures=figures, theirs=["shop.order"]))
    assert "- shop.order FAILED: attempts_spent; one of them at last by KeyError: 'id'" in told
    assert "run again: chaos.work 1 (the suite has schedules of it)" in told
