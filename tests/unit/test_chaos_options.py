"""What `python -m chaos` understands, and what it says when it does not."""

from pathlib import Path

import pytest

from chaos.campaign import Tally, plans
from chaos.environment import RESERVED
from chaos.options import CHECKOUT, parse


def test_nothing_is_asked_for() -> None:
    """Five minutes of everything, from a seed that chance gave."""
    options = parse([])
    assert (options.seconds, options.themes, options.faults, options.campaign, options.resume) == (300.0, (), (), False, None)
    assert options.seed != parse([]).seed


def test_jobs_handlers_and_settings_of_a_user() -> None:
    """Their modules, their jobs, their settings."""
    settings = ["--set", "MILLSTREAM_LEASE_SECONDS=4", "--env", "A=b=c", "--set", "AWS_REGION=here"]
    options = parse(["--handlers", "shop.jobs,shop.mail", *settings, "--consumers", "5", "--job", "shop.order", '{"id": 1}'])
    assert options.handlers == ("shop.jobs", "shop.mail")
    assert options.jobs == [("shop.order", {"id": 1})]
    assert options.theirs == ["shop.order"]
    assert options.settings == {"MILLSTREAM_LEASE_SECONDS": "4", "A": "b=c", "AWS_REGION": "here"}
    assert options.consumers == 5


def test_a_file_to_go_on_from_is_a_campaign(tmp_path: Path) -> None:
    """Whether it is there or not."""
    assert parse(["--resume", str(tmp_path / "campaign.json")]).campaign


def test_the_checkout_of_an_earlier_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named from wherever the suite is started; every segment has an upgrade then."""
    for name in CHECKOUT:
        (tmp_path / "earlier" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "earlier" / name).touch()
    monkeypatch.chdir(tmp_path)
    options = parse(["--upgrade-from", "earlier", "--themes", "kills,upgrade"])
    assert options.earlier == tmp_path / "earlier"
    segments = plans(options, tally := Tally(1))
    for _ in range(2):
        plan = next(segments)
        assert (plan.shape.earlier, plan.faults.count("upgrade.rolling")) == (options.earlier, 1)
        tally.segments += 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--themes", "kills,earthquakes"], "unknown: earthquakes"),
        (["--faults", "redis.wipe"], "unknown: redis.wipe"),
        (["--job", "shop.order", "{bad"], "--job shop.order {bad: is no JSON: Expecting property name"),
        (["--job", "shop.order", "[1]"], "--job shop.order [1]: a payload is a JSON object"),
        (["--handlers", "shop.jobs"], "--handlers shop.jobs: say with --job TYPE JSON what to submit"),
        (["--handlers", "shop.jobs", "--job", "chaos.work", "{}"], "--job TYPE JSON"),
        (["--set", "LEASE"], "--set LEASE: wants NAME=VALUE"),
        (["--set", "MILLSTREAM_LEASE=4"], "--set MILLSTREAM_LEASE: is no setting of the service (did you mean MILLSTREAM_LEASE_SECONDS"),
        (["--set", "LEASE_SECONDS=4"], "did you mean MILLSTREAM_LEASE_SECONDS"),
        (["--set", "XYZ=4"], "--set XYZ: is no setting of the service. What"),
        (["--themes", "kill"], "unknown: kill (did you mean kills"),
        (["--upgrade-from", "."], "--upgrade-from: .: is this version"),
        (["--upgrade-from", "docs"], "--upgrade-from: docs: is no checkout of a millstream with a chaos suite: there is no producer"),
        (["--rate", "abc"], "--rate: abc: wants a number, more than 0"),
        (["--consumers", "2.5"], "--consumers: 2.5: wants a whole number, at least 1"),
        (["--set", "MILLSTREAM_URL=http://localhost"], "is no setting of the service"),
        (["--set", "SHOP_KEY=4"], "wants --env"),
        (["--env", "SHOP_KEY"], "--env SHOP_KEY: wants NAME=VALUE"),
        (["--env", "MILLSTREAM_LEASE_SECONDS=4"], "it wants --set"),
        (["--env", "DATABASE_URL=postgres://shop"], "--env DATABASE_URL: is the suite's own"),
        (["--seconds", "0"], "more than 0"),
        (["--load-seconds", "-1"], "more than 0"),
        (["--patience", "0"], "more than 0"),
        (["--rate", "nan"], "more than 0"),
        (["--rate", "-3"], "more than 0"),
        (["--bulk", "0"], "at least 1"),
        (["--producers", "0"], "at least 1"),
        (["--consumers", "0"], "at least 1"),
        (["--consumers", "-2"], "at least 1"),
        *((["--set", f"{name}=x"], f"--set {name}: is the suite's own") for name in RESERVED),
    ],
)
def test_what_makes_no_sense_is_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line says what is wrong, and the exit code is that of usage."""
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
