"""The published figures for documents: a table in Markdown and a chart in SVG, from results.json.

`python -m loadtest.summary .bench/results.json` writes results.md and results.svg beside it; `make bench` does so by itself.
"""

import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import orjson

from loadtest.rounds import number

Figures = Mapping[str, Mapping[str, float]]  # published name -> contender -> median
OURS = "millstream"
COLUMNS = {
    "drain1": "drain, one worker, jobs/s",
    "drain2": "drain, two workers, jobs/s",
    "submit": "submit one by one, jobs/s",
    "bulk": "submit in bulk, jobs/s",
    "latency100_p50_ms": "p50 at 100/s, ms",
    "latency100_p99_ms": "p99 at 100/s, ms",
    "latency1000_p50_ms": "p50 at 1,000/s, ms",
    "latency1000_p99_ms": "p99 at 1,000/s, ms",
    "cpu_seconds_per_10k": "worker CPU s / 10,000",
    "worker_mb": "worker MB",
    "redis_bytes_per_queued_job": "Redis bytes a queued job",
}
CHARTED = ("drain1", "drain2", "submit", "bulk", "latency100_p50_ms", "cpu_seconds_per_10k")
LESS_IS_BETTER = ("latency", "cpu", "worker_mb", "redis")

WIDTH, LABEL, BAR, VALUE = 940, 118, 240, 60
ROW, HEAD, GAP = 16, 34, 22
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #334155 } .title { font-weight: 600; font-size: 13px }
.bar { fill: #94a3b8 } .ours { fill: #0d9488 } .ours-label { font-weight: 600 }
@media (prefers-color-scheme: dark) { text { fill: #cbd5e1 } .bar { fill: #64748b } .ours { fill: #2dd4bf } }
"""


def markdown(figures: Figures) -> str:
    """Return a table: a row for each contender, ours first, then by drain; `-` for what was not measured."""
    columns = [name for name in COLUMNS if name in figures]
    rows = [["", *(COLUMNS[name] for name in columns)], ["---"] * (len(columns) + 1)]
    rows += [
        [f"**{who}**" if who == OURS else who, *(_cell(figures[name], who) for name in columns)] for who in _contenders(figures, columns)
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def svg(figures: Figures) -> str:
    """Return small charts, two beside each other, of bars that are sorted from best to worst."""
    charts = [name for name in CHARTED if figures.get(name)]
    parts, top = [], 0
    for left, right in zip(charts[::2], [*charts[1::2], None], strict=False):
        parts += [_chart(name, figures[name], column * WIDTH // 2, top) for column, name in enumerate((left, right)) if name]
        top += HEAD + GAP + ROW * max(len(figures[name]) for name in (left, right) if name)
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}><style>{STYLE}</style>{"".join(parts)}</svg>\n'


def write(result: Mapping[str, Any], file: Path) -> None:
    """Write both beside `file`, the results.json."""
    file.with_suffix(".md").write_text(markdown(result["figures"]))
    file.with_suffix(".svg").write_text(svg(result["figures"]))


def _contenders(figures: Figures, columns: Sequence[str]) -> list[str]:
    names = dict.fromkeys(name for column in columns for name in figures[column])
    drained = figures.get("drain1", {})
    return sorted(names, key=lambda name: (name != OURS, -drained.get(name, 0.0)))


def _cell(values: Mapping[str, float], who: str) -> str:
    return number(values[who]) if who in values else "-"


def _chart(name: str, values: Mapping[str, float], left: int, top: int) -> str:
    is_less = name.startswith(LESS_IS_BETTER)
    ordered = sorted(values.items(), key=lambda item: item[1], reverse=not is_less)
    most = max(values.values()) or 1.0
    title = f"{COLUMNS[name]} ({'less' if is_less else 'more'} is better)"
    bars = [_bar(who, value, value / most, left, top + HEAD + row * ROW) for row, (who, value) in enumerate(ordered)]
    return f'<text class="title" x="{left}" y="{top + HEAD - 12}">{escape(title)}</text>{"".join(bars)}'


def _bar(who: str, value: float, share: float, left: int, top: int) -> str:
    ours = who == OURS
    width = max(share * BAR, 1.0)
    return (
        f'<text class="{"ours-label" if ours else ""}" x="{left + LABEL - 6}" y="{top + 11}" text-anchor="end">{escape(who)}</text>'
        f'<rect class="{"ours" if ours else "bar"}" x="{left + LABEL}" y="{top + 2}" width="{width:.1f}" height="{ROW - 4}" rx="2"/>'
        f'<text x="{left + LABEL + width + 5:.1f}" y="{top + 11}">{number(value)}</text>'
    )


def main() -> None:
    """Read the command line, write both."""
    file = Path(sys.argv[1])
    write(orjson.loads(file.read_bytes()), file)


if __name__ == "__main__":
    main()
