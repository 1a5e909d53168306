"""Judging again what a run has kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chaos import __main__ as command
from chaos.campaign import Tally, begun
from chaos.checks import Finding
from chaos.history import History, Request, Strike
from chaos.judge import main
from chaos.options import parse
from chaos.outcome import FILE, keep, kept, outcome_of
from tests.unit.test_chaos_checks import lost, sound


@pytest.fixture
def run(tmp_path: Path) -> Callable[[History], Path]:
    """A run of one segment, the second of its campaign."""

    def made(history: History) -> Path:
        place = tmp_path / "segment-0001"
        place.mkdir()
        keep(history, place)
        (tmp_path / "result.json").write_bytes(Tally(7, segments=2, missed={"redis.disk": "no disk"}).to_json())
        return tmp_path

    return made


def test_a_history_that_was_kept_is_judged_as_it_was(run: Callable[[History], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """By the same checks: all of it is there, what struck as well."""
    history = sound()
    history.strikes.append(Strike("redis.kill", "Redis", [], [], 10.0, 11.0, healed=12.0))
    assert main([str(run(history))]) == 0
    told = capsys.readouterr().out
    assert "- Every invariant held." in told
    assert "| 1 | 0 | 1 | 0 | 0 | 0 |" in told
    assert "| `redis.kill` | 1 |" in told
    assert "redis.disk: never struck: no disk" in told


def test_what_is_found_now_is_told_with_its_segment(run: Callable[[History], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was found then."""
    history = sound()
    lost(history)
    assert main([str(run(history))]) == 1
    assert "segment 1, invariant 1 (" in capsys.readouterr().out


def test_a_folder_without_a_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do."""
    assert main([str(tmp_path)]) == 2
    assert f"chaos: {tmp_path} has no result.json" in capsys.readouterr().err


def test_a_campaign_goes_on_from_what_is_judged_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A check that was wrong does not cost the segments that were run; what was found by it is gone, what was done is not."""
    state, found = tmp_path / "campaign.json", [(0, Finding(1, "a check that was wrong", "a job is lost"))]
    (tmp_path / "result.json").write_bytes(Tally(7, segments=1, findings=found, seconds=180.0, at_a_time=4).to_json())
    (tmp_path / "segment-0000").mkdir()
    keep(sound(), tmp_path / "segment-0000")
    assert main([str(tmp_path), "--resume", str(state)]) == 0
    tally = begun(parse(["--resume", str(state), "--output", str(tmp_path)]))
    assert (tally.seed, tally.segments, tally.findings, tally.seconds, tally.at_a_time) == (7, 1, [], 180.0, 4)
    assert tally.figures == outcome_of(sound(), {}).figures
    assert main([str(tmp_path), "--resume", str(tmp_path / "nowhere" / "state")]) == 2
    assert "nowhere/state.new: No such file or directory: name a place" in capsys.readouterr().err


def test_a_campaign_does_not_go_on_without_some_of_its_segments(run: Callable[[History], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """What they came to would be forgotten, and the next would write into the folder of another."""
    folder = run(sound())
    assert main([str(folder), "--resume", str(folder / "state")]) == 2
    assert "has not the histories of all 2 segments" in capsys.readouterr().err
    assert not (folder / "state").exists()


def test_without_its_rows_a_history_says_only_that_it_did_not_come_back() -> None:
    """A job without a row is not lost when nobody could look."""
    history = History(rows_read=False, stranded=["the rows cannot be read"], requests=[Request(1.0, [1], None, 1.1, 202, ["job"])])
    outcome = outcome_of(history, {})
    assert [finding.what for finding in outcome.findings] == ["the rows cannot be read"]
    assert (outcome.figures.accepted, outcome.figures.lost) == (1, 0)


def test_a_history_of_before_has_what_came_since(tmp_path: Path) -> None:
    """As if nothing had been noted."""
    history = sound()
    del history.told_again
    keep(history, tmp_path)
    assert kept(tmp_path).told_again == set()
    assert kept(tmp_path).rows == history.rows


def test_a_campaign_keeps_the_histories_and_a_new_run_none(tmp_path: Path) -> None:
    """Of a segment with findings all, for a look at its logs."""
    for number, damage in enumerate((None, lost)):
        history, place = sound(), tmp_path / f"segment-{number:04}"
        (place / "output").mkdir(parents=True)
        (place / "consumer-1.log").touch()
        if damage:
            damage(history)
        keep(history, place)
        command._keep(parse(["--campaign", "--output", str(tmp_path)]), number, outcome_of(history, {}))
    assert {file.name for file in (tmp_path / "segment-0000").iterdir()} == {FILE}
    assert {file.name for file in (tmp_path / "segment-0001").iterdir()} == {FILE, "consumer-1.log", "output"}
    command._clear(parse(["--resume", str(tmp_path / "state"), "--output", str(tmp_path)]))
    assert len([*tmp_path.glob("segment-*")]) == 2
    command._clear(parse(["--output", str(tmp_path)]))
    assert not [*tmp_path.glob("segment-*")]
