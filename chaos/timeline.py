"""The timeline of a run as one HTML file that opens without a network: for each segment the faults, and what went on meanwhile."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from chaos.campaign import Tally
from chaos.history import History, Strike
from chaos.outcome import Outcome
from chaos.report import verdict
from chaos.segment import Plan
from loadtest.load.charts import LEFT, RIGHT, WIDTH, Axis, Line, chart, rounded
from loadtest.load.page import STYLE

SECTION = "timeline.part.html"  # of a segment, in its folder: a run that goes on shows what was before
TEMPLATE = Path(__file__).with_name("timeline.html")
LANE = 20  # pixels
LEAST_WIDTH = 2.0
TICKS = 10


def section(number: int, plan: Plan, outcome: Outcome) -> str:
    """Return the part of the page that tells of one segment."""
    history = outcome.history
    zero = min((request.sent for request in history.requests), default=0.0)
    last = max(
        [request.answered for request in history.requests] + [run.ended or 0.0 for runs in history.runs.values() for run in runs],
        default=0.0,
    )
    across = Axis(max(last - zero, 1.0), _ticks(last - zero), lambda value: f"{value:.0f} s", "since the first request")
    findings = "".join(f"<li>{finding.number}: {escape(finding.sentence)}: {escape(finding.what)}</li>" for finding in outcome.findings)
    found = f'<ul class="findings">{findings}</ul>' if findings else "<p>Every invariant held.</p>"
    return (
        f"<h2>Segment {number}: {escape(plan.theme)}</h2>"
        f'<p class="soft">seed {plan.seed}, {plan.shape.producers} producers, {plan.shape.consumers} consumers'
        f"{', each service role a process' if plan.shape.split else ''}; {outcome.figures.accepted:,} jobs accepted</p>"
        f"{found}<div class=charts>{_lanes(history, zero, across)}{_rates(history, zero, across)}</div>"
    )


def page(tally: Tally, sections: Iterable[str]) -> str:
    """Return the whole file."""
    figures = tally.figures
    numbers = {
        "jobs accepted": f"{figures.accepted:,}",
        "lost": f"{figures.lost:,}",
        "injections": f"{sum(figures.injected.values()):,}",
        "runs": f"{figures.runs:,}",
        "run again, a lease was lost": f"{figures.again:,}",
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=STYLE.read_text(encoding="utf-8"),
        title=f"Chaos run of seed {tally.seed}",
        verdict_class="good" if figures.by_fault and not tally.findings else "bad",
        verdict=escape(verdict(tally)),
        numbers="".join(f"<div><strong>{value}</strong><span>{escape(name)}</span></div>" for name, value in numbers.items()),
        sections="".join(sections),
    )


def _ticks(seconds: float) -> Sequence[float]:
    step = max(round(seconds / TICKS), 1)
    return [float(tick) for tick in range(0, int(seconds) + 1, step)]


def _lanes(history: History, zero: float, across: Axis) -> str:
    """A lane for each kind of fault, and one for the deaths of processes."""
    kinds = sorted({strike.kind for strike in history.strikes})
    names = [*kinds, "deaths"]
    height = LANE * len(names) + 24
    bars = "".join(_bar(strike, kinds.index(strike.kind), zero, across) for strike in history.strikes)
    deaths = "".join(
        f'<circle class="line1" cx="{_x(across, died - zero):.1f}" cy="{LANE * len(kinds) + LANE / 2:.1f}" r="3">'
        f"<title>process {pid} ended with {code} at {died - zero:.1f} s</title></circle>"
        for pid, (died, code) in history.deaths.items()
    )
    labels = "".join(
        f'<text x="{LEFT - 6}" y="{LANE * number + 15}" text-anchor="end">{escape(name)}</text>' for number, name in enumerate(names)
    )
    ticks = "".join(
        f'<text x="{_x(across, tick):.1f}" y="{height - 6}" text-anchor="middle">{across.label(tick)}</text>' for tick in across.ticks
    )
    return (
        "<figure><figcaption>Faults</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Faults">{labels}{ticks}{bars}{deaths}</svg></figure>'
    )


def _bar(strike: Strike, lane: int, zero: float, across: Axis) -> str:
    begin, end = _x(across, strike.hit - zero), _x(across, (strike.healed or strike.hit) - zero)
    told = f"{strike.fault} {strike.detail}, {strike.hit - zero:.1f} s, for {(strike.healed or strike.hit) - strike.hit:.1f} s"
    return (
        f'<rect class="fault" x="{begin:.1f}" y="{LANE * lane + 4}" width="{max(end - begin, LEAST_WIDTH):.1f}" height="{LANE - 8}">'
        f"<title>{escape(told)}</title></rect>"
    )


def _x(across: Axis, value: float) -> float:
    return LEFT + min(max(across.share(value), 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _rates(history: History, zero: float, across: Axis) -> str:
    accepted = Counter(int(request.answered - zero) for request in history.requests for _ in request.ids)
    ended = Counter(int(run.ended - zero) for runs in history.runs.values() for run in runs if run.ended)
    seconds = range(int(across.last) + 1)
    most = max([*accepted.values(), *ended.values()], default=1)
    lines = [
        Line("accepted", [(float(second), float(accepted[second])) for second in seconds]),
        Line("ended", [(float(second), float(ended[second])) for second in seconds]),
    ]
    return chart("Jobs a second", lines, across, rounded(most, lambda value: f"{value:,.0f}", "jobs"))
