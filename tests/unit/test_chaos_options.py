"""What `python -m chaos` understands, and what it says when it does not."""

from pathlib import Path

import pytest

from chaos.options import parse


def test_nothing_is_asked_for() -> None:
    """Five minutes of everything, from a seed that chance gave."""
    options = parse([])
    assert (options.seconds, options.themes, options.faults, options.campaign, options.resume) == (300.0, (), (), False, None)
    assert options.seed != parse([]).seed


def test_jobs_handlers_and_settings_of_a_user() -> None:
    """Their modules, their jobs, their settings."""
    settings = ["--set", "MILLSTREAM_LEASE_SECONDS=4", "--set", "A=b=c"]
    options = parse(["--handlers", "shop.jobs,shop.mail", *settings, "--consumers", "5", "--job", "shop.order", '{"id": 1}'])
    assert options.handlers == ("shop.jobs", "shop.mail")
    assert options.jobs == [("shop.order", {"id": 1})]
    assert options.settings == {"MILLSTREAM_LEASE_SECONDS": "4", "A": "b=c"}
    assert options.consumers == 5


def test_a_file_to_go_on_from_is_a_campaign(tmp_path: Path) -> None:
    """Whether it is there or not."""
    assert parse(["--resume", str(tmp_path / "campaign.json")]).campaign


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--themes", "kills,earthquakes"], "unknown: earthquakes"),
        (["--faults", "redis.wipe"], "unknown: redis.wipe"),
        (["--job", "shop.order", "{"], "unexpected end|Expecting property name"),
        (["--job", "shop.order", "[1]"], "a payload is a JSON object"),
        (["--set", "LEASE"], "wants NAME=VALUE"),
        (["--seconds", "0"], "more than 0"),
        (["--load-seconds", "-1"], "more than 0"),
        (["--rate", "nan"], "more than 0"),
        (["--producers", "0"], "at least 1"),
    ],
)
def test_what_makes_no_sense_is_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line says what is wrong, and the exit code is that of usage."""
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert any(part in told for part in said.split("|")), told
