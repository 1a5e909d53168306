"""The figures as plain text for people and as JSON for everything else."""

from collections.abc import Sequence
from typing import Any

from loadtest.figures import Figure
from loadtest.rounds import Measured, number
from loadtest.stats import medians, paired_ratio, spreads


def as_json(figure: Figure, measured: Measured) -> dict[str, Any]:
    """Return `{contender: {measure: median, ..., "rounds": n, "spread": {measure: [low, high]}}}`; why one `failed`.

    Contenders but the first also carry `ratio`: how many times theirs our headline measure is, paired by round.
    """
    return {name: _contender(figure, measured, name) for name in measured.samples}


def published(figure: Figure, measured: Measured) -> dict[str, dict[str, float]]:
    """Return `{name: {contender: median}}` for what the figure publishes; who did not measure it is left out."""
    middles = {name: medians(samples) for name, samples in measured.samples.items()}
    return {
        name: {contender: middle[measure] for contender, middle in middles.items() if measure in middle}
        for name, measure in figure.published.items()
    }


def _contender(figure: Figure, measured: Measured, name: str) -> dict[str, Any]:
    samples = measured.samples[name]
    ratio = _ratio(figure, measured, name)
    return {
        **medians(samples),
        "rounds": len(samples),
        "spread": {measure: list(pair) for measure, pair in spreads(samples).items()},
        **({"ratio": ratio} if ratio is not None else {}),
        **({"failed": measured.failures[name]} if name in measured.failures else {}),
    }


def _ratio(figure: Figure, measured: Measured, name: str) -> float | None:
    ours = next(iter(measured.samples))
    return paired_ratio(measured.samples[ours], measured.samples[name], figure.headline) if name != ours else None


def as_text(figure: Figure, measured: Measured) -> str:
    """Return a table: contenders side by side, medians of their rounds, lowest and highest of the headline measure."""
    names = list(measured.samples)
    middles = {name: medians(samples) for name, samples in measured.samples.items()}
    rows = [["", *names]]
    for title in _measures(measured):
        rows.append([title, *(number(middles[name][title]) if title in middles[name] else "-" for name in names)])
        if title == figure.headline:
            rows.append(["  lowest..highest", *(_low_high(measured, name, title) for name in names)])
            rows.append([f"  {names[0]} / it", *(_shown_ratio(figure, measured, name) for name in names)])
    rows.append(["rounds", *(str(len(measured.samples[name])) for name in names)])
    failed = [f"  {name} FAILED: {why.splitlines()[0]}" for name, why in measured.failures.items()]
    return "\n".join([f"{figure.name}: {figure.title}", *table(rows), *failed])


def _measures(measured: Measured) -> list[str]:
    return list(dict.fromkeys(measure for samples in measured.samples.values() for sample in samples for measure in sample))


def _low_high(measured: Measured, name: str, measure: str) -> str:
    pair = spreads(measured.samples[name]).get(measure)
    return "..".join(number(value) for value in pair) if pair else "-"


def _shown_ratio(figure: Figure, measured: Measured, name: str) -> str:
    ratio = _ratio(figure, measured, name)
    return f"{ratio:.2f}" if ratio is not None else "-"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return `rows` as lines with aligned columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join(_cell(cell, widths, column) for column, cell in enumerate(row)).rstrip() for row in rows]


def _cell(cell: str, widths: Sequence[int], column: int) -> str:
    return cell.rjust(widths[column]) if column else cell.ljust(widths[column])
