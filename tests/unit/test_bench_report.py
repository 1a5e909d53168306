"""How rounds are run and shown."""

from functools import partial

import pytest

from loadtest.errors import MeasureError
from loadtest.figures import Figure
from loadtest.report import as_json, as_text
from loadtest.rounds import Measured, number, order, run_rounds
from loadtest.stats import Sample

FIGURE = Figure(name="drain1", title="jobs", method="by clock", headline="jobs/s", contenders=lambda _: {})


def test_every_other_round_runs_in_reverse() -> None:
    """Nobody always runs on the warmer, or the fuller, machine."""
    ran: list[str] = []

    def contender(name: str) -> Sample:
        ran.append(name)
        return {"jobs/s": 1.0}

    run_rounds({name: partial(contender, name) for name in ("ours", "theirs")}, 3, lambda _: None)
    assert ran == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert order(["a", "b", "c"], 1) == ["c", "b", "a"]


def test_a_contender_that_fails_is_reported_and_stops_nobody() -> None:
    """It is not tried again, and the others run all their rounds."""

    def broken() -> dict[str, float]:
        raise MeasureError("no such program")

    said: list[str] = []
    measured = run_rounds({"ours": lambda: {"jobs/s": 2.0}, "theirs": broken}, 3, said.append)
    assert len(measured.samples["ours"]) == 3
    assert measured.failures == {"theirs": "MeasureError: no such program"}
    assert sum("FAILED" in line for line in said) == 1


def test_ctrl_c_is_no_failed_contender() -> None:
    """It ends the run."""

    def interrupted() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_rounds({"ours": interrupted}, 1, lambda _: None)


def measured_rounds() -> Measured:
    """Return three rounds of two contenders and one that failed."""
    return Measured(
        samples={
            "ours": [{"jobs/s": 2000.0}, {"jobs/s": 3000.0}, {"jobs/s": 1000.0}],
            "theirs": [{"jobs/s": 1000.0, "MB": 33.25}, {"jobs/s": 1000.0}, {"jobs/s": 1000.0}],
            "absent": [],
        },
        failures={"absent": "not installed: no node\nlong output"},
    )


def test_json_holds_medians_spread_ratio_and_failures() -> None:
    """Whoever reads it needs no other source."""
    assert as_json(FIGURE, measured_rounds()) == {
        "ours": {"jobs/s": 2000.0, "rounds": 3, "spread": {"jobs/s": [1000.0, 3000.0]}},
        "theirs": {
            "jobs/s": 1000.0,
            "MB": 33.25,
            "rounds": 3,
            "spread": {"jobs/s": [1000.0, 1000.0], "MB": [33.25, 33.25]},
            "ratio": 2.0,
        },
        "absent": {"rounds": 0, "spread": {}, "failed": "not installed: no node\nlong output"},
    }


def test_the_table_shows_the_same() -> None:
    """One column for each contender; a failure in one line below."""
    assert as_text(FIGURE, measured_rounds()).splitlines() == [
        "drain1: jobs",
        "                             ours        theirs  absent",
        "  jobs/s                    2,000         1,000       -",
        "    lowest..highest  1,000..3,000  1,000..1,000       -",
        "    ours / it                   -          2.00       -",
        "  MB                            -          33.2       -",
        "  rounds                        3             3       0",
        "  absent FAILED: not installed: no node",
    ]


@pytest.mark.parametrize(("value", "shown"), [(12345.6, "12,346"), (99.96, "100"), (3.14159, "3.14"), (0.0, "0")])
def test_numbers_have_as_many_digits_as_they_deserve(value: float, shown: str) -> None:
    """Three significant digits below 100, whole numbers above."""
    assert number(value) == shown
