"""The curve that makes its rows by SQL, once, small: the tables that it fills are ours, so it has to keep up with them."""

from pathlib import Path

import orjson
import pytest

from loadtest.growth.__main__ import main


def test_a_quick_run_of_the_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every call answers, and finds what was put there for it."""
    output = tmp_path / "growth.json"
    assert main(["--only", "rows", "--quick", "--output", str(output)]) == 0
    points = orjson.loads(output.read_bytes())["curves"]["rows"]["points"]
    assert points["(letters into Redis)"]["jobs"] == 199
    found = {"GET /jobs": 50, "status=PENDING": 50, "schedule": 50, "q, in none": 0, "dead, reason": 19, "POST /dlq/replay, dry": 199}
    assert {name: points[name]["jobs"] for name in found} == found
    assert "GET /jobs/stats" in capsys.readouterr().out
