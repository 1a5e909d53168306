"""The report: one HTML file that opens without a network, in light and dark, on a phone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import fmean
from string import Template
from typing import Any

from loadtest.load.charts import Axis, Line, Point, chart, rounded, thinned
from loadtest.load.summary import milliseconds, summary, what_was_asked

TEMPLATE = Path(__file__).with_name("page.html")
STYLE = Path(__file__).with_name("style.css")  # of every report
MOST_POINTS = 400
PERCENTS = (50, 90, 99, 99.9, 99.99, 99.999)
MACHINE = ("cores", "cpu", "memory_mb", "load_at_start", "system", "python")


def page(found: Mapping[str, Any]) -> str:
    """Return the whole file for what `result` has returned."""
    check = found["check"]
    good = check["ok"] if check else None
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=STYLE.read_text(encoding="utf-8"),
        title=escape(f"Load test of {found['began_at']}"),
        asked=escape(f"{what_was_asked(found)}, against {found['url']}"),
        verdict_class={True: "good", False: "bad", None: "unknown"}[good],
        verdict=escape(_verdict(found)),
        numbers="".join(_number(name, value) for name, value in _headlines(found)),
        charts="".join(_charts(found)),
        command=escape(found["command"]),
        settings=_table(_flat(found["settings"])),
        machine=_table((name, _short(found["machine"].get(name, "unknown"))) for name in MACHINE),
        summary=escape(summary(found)),
        errors=_errors(found),
        latencies=_latencies(found),
        seconds=_seconds(found["series"]),
    )


def _verdict(found: Mapping[str, Any]) -> str:
    check = found["check"]
    if check is None:
        return "The accepted jobs were not checked."
    if check["ok"]:
        return f"All {check['accepted']:,} accepted jobs are COMPLETED."
    seen = ", ".join(f"{count:,} {status}" for status, count in check["statuses"].items())
    return f"Of {check['accepted']:,} accepted jobs: {seen or 'none was seen'}. {check['problem'] or ''}"


def _headlines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    check, latency = found["check"], found["latency_ms"]
    drained = check and check["drain_seconds"]
    return [
        ("accepted jobs a second", f"{found['accepted']['per_second']:,.0f}"),
        ("accepted jobs", f"{found['accepted']['jobs']:,}"),
        ("p50", milliseconds(latency["p50"])),
        ("p99", milliseconds(latency["p99"])),
        ("failed requests", f"{sum(found['errors'].values()):,}"),
        ("seconds to drain", "-" if drained is None else f"{drained:,.1f}"),
    ]


def _charts(found: Mapping[str, Any]) -> list[str]:
    series = found["series"]
    time = rounded(max((second["at"] for second in series), default=1), lambda value: f"{value:g}", "seconds since the load began")
    rates = [
        _line(series, "accepted", "accepted_per_second", fmean),
        _line(series, "completed", "completed_per_second", fmean),
    ]
    latency = [_line(series, "p50", "p50_ms", max), _line(series, "p99", "p99_ms", max)]
    backlog = [_line(series, "jobs that are not over", "backlog", max)]
    return [
        chart("Jobs a second", rates, time, rounded(_most(rates), _count, "")),
        chart("Latency over time", latency, time, rounded(_most(latency), _ms, "")),
        _by_percentile(found),
        chart("Backlog", backlog, time, rounded(_most(backlog), _count, "")),
    ]


def _by_percentile(found: Mapping[str, Any]) -> str:
    """The axis stretches the end: each step is a tenth of the requests that are left."""
    curve = found["curve"]
    lines = [Line("measured", [(_nines(entry["percent"]), entry["ms"]) for entry in curve])]
    if found["corrected_ms"]:
        lines.append(Line("corrected", [(_nines(entry["percent"]), entry["corrected_ms"]) for entry in curve]))
    last = max((_nines(entry["percent"]) for entry in curve), default=1.0)
    ticks = [_nines(percent) for percent in PERCENTS if _nines(percent) <= last]
    x = Axis(max(last, 1.0), ticks, lambda value: f"{100 * (1 - 10**-value):.5g} %", "of the requests took at most so long")
    return chart("Latency by percentile", lines, x, rounded(_most(lines), _ms, ""))


def _nines(percent: float) -> float:
    return -math.log10(1 - percent / 100)


def _line(series: Sequence[Mapping[str, Any]], name: str, key: str, combine: Any) -> Line:
    points: list[Point] = [(second["at"], second[key]) for second in series]
    return Line(name, thinned(points, MOST_POINTS, combine))


def _most(lines: Iterable[Line]) -> float:
    return max((value for line in lines for _, value in line.points if value is not None), default=1.0) or 1.0


def _count(value: float) -> str:
    return f"{value / 1000:,.10g}k" if value >= 10_000 and value % 100 == 0 else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _ms(value: float) -> str:
    return f"{value / 1000:.4g} s" if value >= 1000 else f"{value:.4g} ms"


def _number(name: str, value: str) -> str:
    return f"<div><strong>{escape(value)}</strong><span>{escape(name)}</span></div>"


def _table(rows: Iterable[tuple[str, object]]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _short(value: object) -> object:
    return round(value, 2) if isinstance(value, float) else value


def _flat(settings: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield name, ", ".join(f"{key} {inner}" for key, inner in value.items())
        else:
            yield name, "-" if value is None else value


def _errors(found: Mapping[str, Any]) -> str:
    if not found["errors"]:
        return "<p>None.</p>"
    return _table((f"{count:,} x {kind}", found["error_examples"].get(kind, "")) for kind, count in found["errors"].items())


def _latencies(found: Mapping[str, Any]) -> str:
    """One row a kind of latency, one column a percentile."""
    check = found["check"] or {}
    measured = "service time" if found["loop"] == "closed" else "latency"
    kinds = [(measured, found["latency_ms"]), ("corrected", found["corrected_ms"])]
    kinds += [] if found["loop"] == "closed" else [("service time", found["service_ms"])]
    kinds += [("commit to start", check.get("wait_ms")), ("commit to end", check.get("end_to_end_ms"))]
    names = ("count", "mean", "p50", "p90", "p99", "p99.9", "max")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(f"<tr><th>{name}</th>{_cells(values, names)}</tr>" for name, values in kinds if values)
    return f'<table class="numbers"><tr><th></th>{head}</tr>{rows}</table>'


def _cells(values: Mapping[str, float], names: Sequence[str]) -> str:
    return "".join(f"<td>{values[name]:,.0f}</td>" if name == "count" else f"<td>{milliseconds(values[name])}</td>" for name in names)


def _seconds(series: Sequence[Mapping[str, Any]]) -> str:
    """The charts in numbers, for who cannot see them; the first of many."""
    names = ("at", "sent_per_second", "accepted_per_second", "completed_per_second", "failed_requests", "p50_ms", "p99_ms", "backlog")
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in names)
    rows = "".join(f"<tr>{''.join(f'<td>{_cell(second[name])}</td>' for name in names)}</tr>" for second in series[:MOST_POINTS])
    return f'<table class="numbers"><tr>{head}</tr>{rows}</table>'


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
