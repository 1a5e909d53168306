"""Charts as drawings for a PDF: bars, lines, a pie."""

from typing import Any

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.charts.linecharts import HorizontalLineChart
from reportlab.graphics.charts.piecharts import Pie
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import HexColor

from consumer.reports.payload import Chart
from consumer.reports.typeface import REPLACEMENT, clean, typeface

__all__ = ["drawing"]

_HEIGHT = 220.0
_SIZE = 7.0
_SHOWN_LABELS = 24  # more than these would overlap: every second, third, ... is left out
_LABEL_CHARACTERS = 24
# Okabe and Ito's colours, which colour-blind readers tell apart too.
_COLORS = [HexColor(value) for value in (0x0072B2, 0xE69F00, 0x009E73, 0xD55E00, 0xCC79A7, 0x56B4E9, 0xF0E442, 0x555555)]


def drawing(chart: Chart, width: float) -> Drawing:
    """Return the chart, as wide as the text."""
    paper = Drawing(width, _HEIGHT)
    if chart.kind == "pie":
        paper.add(_pie(chart))
        names = [f"{label}: {value:g}" for label, value in zip(chart.labels, chart.series[0].values, strict=True)]
        paper.add(_legend(names, width * 0.45))
    else:
        named = [series.name for series in chart.series]
        paper.add(_axes(chart, width * (0.75 if any(named) else 0.92)))
        if any(named):
            paper.add(_legend(named, width * 0.85))
    return paper


def _pie(chart: Chart) -> Any:
    pie: Any = Pie()
    pie.x, pie.y, pie.width, pie.height = 20, 20, _HEIGHT - 50, _HEIGHT - 50
    pie.data = [*chart.series[0].values]
    pie.slices.strokeWidth = 0.5
    pie.slices.strokeColor = HexColor(0xFFFFFF)
    for index in range(len(pie.data)):
        pie.slices[index].fillColor = _color(index)
    return pie


def _axes(chart: Chart, width: float) -> Any:
    axes: Any = VerticalBarChart() if chart.kind == "bar" else HorizontalLineChart()
    axes.x, axes.y, axes.width, axes.height = 45, 50, width - 45, _HEIGHT - 65
    axes.data = [[*series.values] for series in chart.series]
    axes.categoryAxis.categoryNames = _labels(chart.labels)
    axes.categoryAxis.labels.fontName = axes.valueAxis.labels.fontName = "NotoSans"
    axes.categoryAxis.labels.fontSize = axes.valueAxis.labels.fontSize = _SIZE
    axes.categoryAxis.labels.angle = 30 if len(chart.labels) > 6 else 0
    axes.categoryAxis.labels.boxAnchor = "ne" if len(chart.labels) > 6 else "n"
    low, high = min(map(min, axes.data)), max(map(max, axes.data))
    axes.valueAxis.valueMin, axes.valueAxis.valueMax = _span(low, high)
    axes.valueAxis.labelTextFormat = "%g"
    for index in range(len(chart.series)):
        _paint(axes, chart.kind, index)
    return axes


def _paint(axes: Any, kind: str, index: int) -> None:
    if kind == "bar":
        axes.bars[index].fillColor = _color(index)
        axes.bars[index].strokeColor = None
    else:
        axes.lines[index].strokeColor = _color(index)
        axes.lines[index].strokeWidth = 1.5


def _span(low: float, high: float) -> tuple[float, float]:
    """The value axis begins at nothing, and is never of no length."""
    low, high = min(0.0, low), max(0.0, high)
    return (low, high) if high > low else (0.0, 1.0)


def _legend(names: list[str], x: float) -> Any:
    shown = names[:_SHOWN_LABELS]
    legend: Any = Legend()
    legend.x, legend.y, legend.boxAnchor, legend.alignment = x, _HEIGHT - 15, "nw", "right"
    legend.fontName, legend.fontSize, legend.dx, legend.dy, legend.deltay = "NotoSans", _SIZE, 6, 6, 8
    legend.columnMaximum = _SHOWN_LABELS
    legend.strokeWidth = 0
    legend.colorNamePairs = [(_color(index), _plain(name)) for index, name in enumerate(shown)]
    return legend


def _labels(labels: list[str]) -> list[str]:
    step = -(-len(labels) // _SHOWN_LABELS)
    return [_plain(label) if index % step == 0 else "" for index, label in enumerate(labels)]


def _plain(text: str) -> str:
    """A label is set in one font; what that lacks is replaced."""
    cut = clean(text).replace("\n", " ")[:_LABEL_CHARACTERS]
    return "".join(char if typeface().glyph(char).font == "NotoSans" else REPLACEMENT for char in cut)


def _color(index: int) -> Any:
    return _COLORS[index % len(_COLORS)]
