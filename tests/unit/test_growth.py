"""The arithmetic of the curves, and how they are told."""

from pathlib import Path

import orjson
import pytest

from loadtest.growth.amounts import FULL, QUICK
from loadtest.growth.curve import Curve, Points, Target, at_least, at_most
from loadtest.growth.curves import CURVES
from loadtest.growth.options import parse
from loadtest.growth.readings import moment_of, rates
from loadtest.growth.report import as_json, as_text
from loadtest.growth.retention import body, thirds
from loadtest.stats import Sample

DRAIN = [
    {"at": 0.0, "queued": 90.0},
    {"at": 1.0, "queued": 90.0},
    {"at": 2.0, "queued": 60.0},
    {"at": 5.0, "queued": 0.0},
]


def _nothing(*_: object) -> Points:
    return {}


def _curve(judge: list[Target]) -> Curve:
    return Curve(name="steps", title="by steps", method="by hand", measure=_nothing, targets=lambda _: judge)


@pytest.mark.parametrize(("left", "moment"), [(90.0, 1.0), (75.0, 1.5), (60.0, 2.0), (20.0, 4.0), (0.0, 5.0)])
def test_a_moment_lies_between_two_readings(left: float, moment: float) -> None:
    """As far between them as the queue is between its two lengths."""
    assert moment_of(DRAIN, left) == moment


def test_a_moment_that_never_was() -> None:
    """More than there ever were."""
    with pytest.raises(ValueError, match="100 jobs"):
        moment_of(DRAIN, 100)


def test_parts_of_a_drain_are_equally_many_jobs() -> None:
    """The time before the first job ends counts for none of them."""
    assert rates(DRAIN, 3) == [30.0, 20.0, 20.0]


def test_thirds_are_means() -> None:
    """Readings beyond the last full third belong to the last one."""
    samples: list[Sample] = [{"MB": float(value)} for value in (1, 3, 10, 20, 5, 5, 8)]
    assert thirds(samples) == {"first third": {"MB": 2.0}, "second third": {"MB": 15.0}, "last third": {"MB": 6.0}}


def test_steady_load_is_of_all_kinds() -> None:
    """One job that dies, one that is tried again, one with a key that no other request has; the rest does nothing."""
    jobs = orjson.loads(body(7, 50))
    assert len(jobs) == 50
    assert [job["type"] for job in jobs[:4]] == ["test.fail", "test.fail", "test.noop", "test.noop"]
    assert jobs[2]["idempotency_key"] != orjson.loads(body(8, 50))[2]["idempotency_key"]


def test_targets_say_whether_they_are_met() -> None:
    """The limit itself is good enough."""
    assert at_least("rate", 0.8, 0.8) == Target("rate", 0.8, ">= 0.8", met=True)
    assert not at_least("rate", 0.79, 0.8).met
    assert at_most("ms", 30.0, 30).met
    assert not at_most("ms", 30.1, 30).met


def test_few_points_stand_side_by_side_and_many_below_each_other() -> None:
    """A missing value is a dash; targets follow, whether kept or not."""
    wide = as_text(_curve([at_least("rate", 1.0, 2.0)]), {"10": {"a": 1.0, "b": 2.0}, "20": {"a": 3.0}})
    assert wide.splitlines() == ["steps: by steps", "     10  20", "  a   1   3", "  b   2   -", "  MISSED: rate: 1, wanted >= 2"]
    tall = as_text(_curve([at_most("ms", 1.0, 2.0)]), {"x": {"a": 1.0}, "y": {"a": 2.0}})
    assert tall.splitlines() == ["steps: by steps", "     a", "  x  1", "  y  2", "  kept: ms: 1, wanted <= 2"]


def test_everything_is_in_the_json() -> None:
    """Points with all their measures, targets with what was found."""
    told = as_json(_curve([at_least("rate", 1.0, 2.0)]), {"10": {"a": 1.0}})
    assert told["points"] == {"10": {"a": 1.0}}
    assert told["targets"] == [{"what": "rate", "found": 1.0, "wanted": ">= 2", "met": False}]


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything in full by default; a part of it, quickly; an unknown curve is named."""
    output = Path("growth.json")
    assert (parse([], output).curves, parse([], output).amounts) == (tuple(CURVES.values()), FULL)
    chosen = parse(["--only", "rows,queued", "--quick", "--output", "x.json"], output)
    assert ([curve.name for curve in chosen.curves], chosen.amounts, chosen.output) == (["rows", "queued"], QUICK, Path("x.json"))
    with pytest.raises(SystemExit):
        parse(["--only", "rowz"], output)
    assert "unknown: rowz; known: queued, rows" in capsys.readouterr().err


def test_targets_judge_points_by_numbers_alone() -> None:
    """A drain that gets slower with the queue is found out, and so is a slow call."""
    small = {"jobs/s": 10.0, "jobs/s, first third": 10.0, "jobs/s, last third": 10.0, "producer MB": 50.0, "consumer MB": 50.0}
    met = {
        target.what: target.met for target in CURVES["queued"].targets({"10": small, "99": small | {"jobs/s": 7.9, "consumer MB": 60.0}})
    }
    assert list(met.values()) == [False, True, True, False]
    slow = CURVES["rows"].targets({"quick": {"p50 ms": 29.0}, "slow": {"p50 ms": 31.0}, "no call": {"jobs": 5.0}})
    assert [(target.what, target.met) for target in slow] == [("quick, p50 ms", True), ("slow, p50 ms", False)]
