"""What one sees while it runs: a live view on a terminal, a line every two seconds elsewhere."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from loadtest.load.series import Second
from loadtest.load.session import Now, Show
from loadtest.load.summary import milliseconds

LINE_SECONDS = 2.0
VIEW_SECONDS = 0.5
BARS = "▁▂▃▄▅▆▇█"
SPARK_SECONDS = 60


def shown_on(stream: TextIO) -> Show:
    """Return the kind of progress that fits `stream`."""
    if stream.isatty():
        try:
            import rich.live  # noqa: F401, PLC0415 - only a terminal needs it
        except ImportError:
            pass
        else:
            return lambda now: _view(now, stream)
    return lambda now: _lines(now, stream)


def spark(values: Sequence[float]) -> str:
    """Return a small chart of the last minute, from 0 to the largest value."""
    last = values[-SPARK_SECONDS:]
    most = max(last, default=0)
    return "".join(BARS[round(value / most * (len(BARS) - 1))] if most else BARS[0] for value in last)


def line(now: Now) -> str:
    """Return how things stand in one line."""
    recent = _recent(now.outcome.series.seconds)
    meter = now.outcome.meter
    p50, p99 = meter.latency.percentiles((50, 99))
    parts = [
        f"{recent.at:5.0f} s" if recent else "    0 s",
        f"sent {meter.sent_jobs:,}",
        f"accepted {now.outcome.accepted:,}" + (f" ({recent.accepted / recent.span:,.0f}/s)" if recent else ""),
        f"errors {meter.failed_requests:,}",
        f"p50 {milliseconds(p50 * 1000)} p99 {milliseconds(p99 * 1000)}",
        f"backlog {_number(now.watch.open_count)}",
    ]
    return "  ".join(parts) + ("" if now.check is None else f"  ({now.phase})")


async def _lines(now: Now, stream: TextIO) -> None:
    while True:
        await asyncio.sleep(LINE_SECONDS)
        print(line(now), file=stream, flush=True)


async def _view(now: Now, stream: TextIO) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(file=stream), auto_refresh=False, transient=True) as live:
        while True:
            live.update(_panel(now), refresh=True)
            await asyncio.sleep(VIEW_SECONDS)


def _panel(now: Now) -> Any:
    from rich.panel import Panel  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    seconds, meter = now.outcome.series.seconds, now.outcome.meter
    recent = _recent(seconds)
    p50, p99 = meter.latency.percentiles((50, 99))
    table = Table.grid(padding=(0, 2))
    for style in ("dim", "bold", "", "cyan"):
        table.add_column(style=style, no_wrap=True)
    table.add_row("sent", f"{meter.sent_jobs:,}", _rate(recent and recent.sent / recent.span), "")
    accepted = [second.accepted / second.span for second in seconds]
    table.add_row("accepted", f"{now.outcome.accepted:,}", _rate(recent and recent.accepted / recent.span), spark(accepted))
    table.add_row("errors", Text(f"{meter.failed_requests:,}", "red" if meter.errors else ""), "", Text(", ".join(meter.errors)))
    table.add_row("p50", milliseconds(p50 * 1000), "", spark([second.p50 for second in seconds]))
    table.add_row("p99", milliseconds(p99 * 1000), "", spark([second.p99 for second in seconds]))
    table.add_row("backlog", _number(now.watch.open_count), "", spark([second.backlog or 0 for second in seconds]))
    at = f"{recent.at:.0f} s" if recent else "0 s"
    return Panel(
        table,
        title=f"{now.outcome.options.target.host}:{now.outcome.options.target.port}  {at}  {now.phase}",
        title_align="left",
        expand=False,
    )


def _recent(seconds: Sequence[Second]) -> Second | None:
    return seconds[-1] if seconds else None


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}/s"


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def progress_stream(json: str) -> TextIO:
    """Return where progress goes: standard output, unless that is for the JSON."""
    return sys.stderr if json == "-" else sys.stdout
