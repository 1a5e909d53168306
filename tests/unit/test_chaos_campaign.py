"""A campaign goes on where it was left, and does what it still lacks."""

from pathlib import Path
from random import Random

import pytest

from chaos import __main__ as command
from chaos import campaign
from chaos.campaign import AIM, AIMS, CASES, JOBS, NUMBERS, Tally, begun, plans
from chaos.checks import INVARIANTS, Finding
from chaos.faults import AIMS as AIMS_OF_FAULTS
from chaos.faults import FAULTS
from chaos.figures import Figures
from chaos.injector import PAUSE_SECONDS
from chaos.options import parse
from chaos.report import markdown
from chaos.themes import KINDS, PAUSES, QUICK, ROUND, THEMES, USUAL, theme_for


def reached() -> Figures:
    """All that a campaign aims at."""
    injected = {kind: AIMS.get(kind, AIM) for kind in KINDS}
    return Figures(accepted=JOBS, injected=injected, judged={known.name: CASES for known in INVARIANTS})


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """Every figure and every finding."""
    tally = Tally(7, 3, reached(), [(2, Finding(1, "nothing is lost", "a job"))], {"redis.disk": "no disk"}, 12.5)
    tally.figures.recovery = {"consumer.kill": [1.5, 10.25]}
    file = tmp_path / "campaign.json"
    file.write_bytes(tally.to_json())
    assert Tally.from_json(file.read_bytes()) == tally


def test_every_point_and_every_way_is_in_the_report() -> None:
    """Those that were never reached with a nought; an older file knows of none."""
    tally = Tally.from_json(b'{"seed": 1, "figures": {"by_aim": {"consumer at claimed": 2}}}')
    tally.figures.add(Figures(by_aim={"consumer at claimed": 1}))
    tally.figures.add(Figures())
    assert tally.figures.by_aim == dict.fromkeys(AIMS_OF_FAULTS, 0) | {"consumer at claimed": 3}
    assert {"| consumer at claimed | 3 |", "| janitor at cleaning | 0 |", "| service to redis | 0 |"} <= {*markdown(tally).split("\n")}


def test_a_campaign_ends_when_all_is_reached() -> None:
    """And not one job, nor one fault before."""
    options = parse(["--campaign", "--seed", "1"])
    assert list(plans(options, Tally(1, figures=reached()))) == []
    kills, late = {"SIGKILL": AIMS["SIGKILL"] - 1}, {"8: and at most one second later": 0}
    for lacking in ({"accepted": JOBS - 1}, {"injected": reached().injected | kills}, {"judged": reached().judged | late}):
        figures = reached()
        for name, value in lacking.items():
            setattr(figures, name, value)
        assert next(plans(options, Tally(1, figures=figures)))


def test_what_is_lacking_most_comes_first() -> None:
    """Four times in five; else whatever it is its turn."""
    figures = reached()
    figures.injected["network"] = 10
    options = parse(["--campaign", "--seed", "1"])
    themes = [next(plans(options, Tally(1, segments, figures))).theme for segments in range(200)]
    assert 0.7 < themes.count("network") / len(themes) < 0.95


def test_a_campaign_breaks_four_things_at_a_time() -> None:
    """The four that are lacking most, with two hands for each."""
    figures = reached()
    figures.injected |= {"network": 10, "Redis": 20, "SIGKILL": 40, "handler": 30, "Postgres": 299}
    words = ["--campaign", "--seed", "1", "--consumers", "4"]
    plans_made = [next(plans(parse(words), Tally(1, segments, figures))) for segments in range(20)]
    [plan, *_] = [plan for plan in plans_made if plan.theme == "kills + network + redis + handlers" and not plan.shape.split]
    assert set(plan.faults) == {*THEMES["kills"], *THEMES["network"], *THEMES["redis"], *THEMES["handlers"]}
    assert (plan.hands, plan.pause) == (8, PAUSE_SECONDS)


@pytest.mark.parametrize(("words", "hands"), [(["kills"], 5), (["redis"], 2), (["freezes"], 4), (["alone"], 1)])
def test_kills_have_half_of_the_processes(words: list[str], hands: int) -> None:
    """At most; the other half works. What breaks servers needs no more hands for more processes."""
    plan = next(plans(parse(["--themes", *words, "--seed", "3", "--consumers", "8"]), Tally(3)))
    assert not plan.shape.split
    assert plan.hands == hands


def test_a_campaign_that_lacks_a_case_only_goes_round_the_themes() -> None:
    """Which of them will bring it is not known."""
    figures = reached()
    figures.judged["11: Redis away: submissions go on"] = CASES - 1
    themes = {next(plans(parse(["--campaign", "--seed", "1"]), Tally(1, segments, figures))).theme for segments in range(len(USUAL))}
    assert themes == {*USUAL}


def test_single_faults_come_in_rounds() -> None:
    """One at a time; each segment takes those that struck least so far."""
    tally = Tally(1)
    seen: list[str] = []
    for _ in range(len(THEMES["alone"]) // ROUND):
        plan = next(plans(parse(["--themes", "alone", "--seed", "1"]), tally))
        seen += plan.faults
        tally.figures.by_fault |= dict.fromkeys(plan.faults, 1)
    assert (plan.hands, len(plan.faults)) == (1, ROUND)
    assert len(seen) == len({*seen}) > 2 * ROUND - 1


def test_chosen_faults_strike_as_a_theme_does() -> None:
    """One at a time, so that what each costs can be measured often."""
    plan = next(plans(parse(["--themes", "alone", "--faults", "redis.flush,redis.kill", "--seed", "1"]), Tally(1)))
    assert (plan.faults, plan.hands, plan.pause) == (("redis.flush", "redis.kill"), 1, PAUSES["alone"])


def test_a_segment_is_as_patient_as_was_asked_for() -> None:
    """And two minutes if nothing was."""
    patience = [next(plans(parse(words), Tally(1))).patience for words in ([], ["--patience", "7.5"])]
    assert patience == [120.0, 7.5]


def test_no_two_jobs_of_a_run_have_one_number() -> None:
    """What handlers make of it outside stays, though each segment has a database of its own."""
    first, second = (next(plans(parse([]), Tally(1, segments))).first for segments in (0, 1))
    assert (first, second) == (1, NUMBERS + 1)


def test_whose_jobs_were_submitted_is_kept(tmp_path: Path) -> None:
    """Also of those who went on with the campaign; ours are not named."""
    file = tmp_path / "campaign.json"
    file.write_bytes(Tally(7, theirs=["shop.mail"]).to_json())
    tally = begun(parse(["--resume", str(file), "--job", "shop.order", "{}", "--job", "chaos.work", "{}"]))
    assert (tally.seed, tally.theirs) == (7, ["shop.mail", "shop.order"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_theme(kind: str) -> None:
    """One that strikes with it."""
    assert any(FAULTS[name].kind == kind for name in THEMES[theme_for(kind)])


def test_the_same_seed_gives_the_same_plans() -> None:
    """So that what was found can be sought again."""
    options = parse(["--seed", "5"])
    twice = [[next(plans(options, Tally(5, number))) for number in range(9)] for _ in range(2)]
    assert twice[0] == twice[1]
    assert len({plan.seed for plan in twice[0]}) == 9
    assert Random("5/0").randrange(2**31) == twice[0][0].seed


@pytest.mark.parametrize("text", [b"", b"no JSON", b"{}", b"\xff\xfe"])
def test_a_file_to_go_on_with_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes) -> None:
    """It is not overwritten, and is no finding."""
    file = tmp_path / "campaign.json"
    file.write_bytes(text)
    assert command.main(["--resume", str(file), "--output", str(tmp_path / "out")]) == 2
    assert "is not the state of a campaign" in capsys.readouterr().err
    assert file.read_bytes() == text


def test_the_state_is_there_whenever_we_are_ended(tmp_path: Path) -> None:
    """The new one takes the place of the old one at once."""
    file = tmp_path / "campaign.json"
    for seed in (1, 2):
        campaign.save(file, Tally(seed))
        assert [Tally.from_json(file.read_bytes()).seed, *tmp_path.iterdir()] == [seed, file]


def test_five_minutes_have_all_that_is_quick() -> None:
    """Two themes in a segment of a minute, whatever the seed."""
    for seed in range(len(QUICK)):
        themes = [next(plans(parse(["--seed", str(seed)]), Tally(seed, segments))).theme.split(" + ") for segments in range(4)]
        assert {name for pair in themes for name in pair} == {*QUICK}


@pytest.mark.parametrize("words", [["--resume", "."], ["--output", "file/out"], ["--resume", "file/state"]])
def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_run(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert command.main(words) == 2
    assert "name a place that can be written to" in capsys.readouterr().err


def test_the_folder_of_a_file_to_go_on_with_is_made(tmp_path: Path) -> None:
    """A segment later it would be too late."""
    begun(parse(["--resume", str(tmp_path / "new" / "state.json"), "--output", str(tmp_path / "out")]))
    assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new" / "state.json").exists()
