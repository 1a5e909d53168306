"""The table and the chart that documents take over."""

from xml.etree import ElementTree as ET

from loadtest.summary import markdown, svg

FIGURES = {
    "drain1": {"millstream": 30_000.0, "bullmq": 12_000.0, "arq": 1_300.0},
    "latency100_p50_ms": {"millstream": 2.4, "bullmq": 1.2},
    "drain_floor": {"millstream": 30_000.0, "bare loop": 40_000.0},
}
NAMES = "{http://www.w3.org/2000/svg}text"


def test_the_table_has_ours_first_and_a_dash_for_what_is_missing() -> None:
    """Then by the drain; floors are no peers and have no column."""
    lines = markdown(FIGURES).splitlines()
    assert lines[0] == "|  | drain, one worker, jobs/s | p50 at 100/s, ms |"
    assert lines[2:] == ["| **millstream** | 30,000 | 2.4 |", "| bullmq | 12,000 | 1.2 |", "| arq | 1,300 | - |"]


def test_bars_are_sorted_from_best_to_worst() -> None:
    """More jobs are better, fewer milliseconds are; every bar has its number."""
    texts = [element.text for element in ET.fromstring(svg(FIGURES)).iter(NAMES)]  # noqa: S314 - ours
    assert texts[1:7] == ["millstream", "30,000", "bullmq", "12,000", "arq", "1,300"]
    assert texts[8:] == ["bullmq", "1.2", "millstream", "2.4"]
