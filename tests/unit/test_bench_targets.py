"""The verdicts at the end of a benchmark."""

import pytest

from loadtest.targets import TARGETS, rows, verdicts

FIGURES = {
    "drain1": {"millstream": 30_000.0, "graphile-worker": 20_000.0, "bullmq": 12_000.0, "arq": 1_000.0, "streaq": 1_500.0},
    "latency100_p50_ms": {"millstream": 2.4, "bullmq": 1.0},
    "cpu_seconds_per_10k": {"millstream": 0.2, "bullmq": 0.9, "arq": 7.0, "streaq": 1.9},
    "submit": {"bullmq": 9_000.0},
}


def found(title: str) -> dict[str, object]:
    return next(item for item in verdicts(FIGURES, {"arq", "streaq"}) if item["target"] == title)


@pytest.mark.parametrize(
    ("title", "actual", "holds"),
    [
        ("drain, one worker, x graphile-worker", 1.5, True),
        ("drain, one worker, x BullMQ", 2.5, False),
        ("drain, one worker, x the fastest Python peer", 20.0, True),
        ("POST to handler at 100/s, p50 ms", 2.4, True),
        ("worker's CPU a job, x BullMQ", 0.2 / 0.9, True),
        ("worker's CPU a job, x the best Python peer", 0.2 / 1.9, False),
    ],
)
def test_a_target_is_held_or_missed(title: str, actual: float, *, holds: bool) -> None:
    """Against the one peer, or the best of several; some bounds are the most that is allowed."""
    assert (found(title)["actual"], found(title)["holds"]) == (pytest.approx(actual), holds)


def test_what_was_not_measured_is_no_success() -> None:
    """Neither a figure that was left out nor one in which we or the peer failed."""
    assert found("bulk, x the fastest peer")["holds"] is None
    assert found("submit, two producers, x BullMQ's add")["holds"] is None


def test_every_target_is_a_line_of_the_table() -> None:
    """With a word for each of the three verdicts."""
    table = rows(verdicts(FIGURES, {"arq", "streaq"}))
    assert len(table) == len(TARGETS) + 1
    assert {row[-1] for row in table[1:]} == {"holds", "MISSED", "not measured"}
