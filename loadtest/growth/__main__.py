"""`make growth`, `python -m loadtest.growth --only queued,rows`: what things cost as work grows.

Like the benchmark it starts PostgreSQL and Valkey of its own in a temporary folder. Tables on standard output, all numbers in
`.bench/growth.json`, logs of all that it starts in `.bench/logs-growth/`.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from loadtest import machine
from loadtest.command import FOLDER, ROOT, run, say, temporary_folder, write
from loadtest.growth import report
from loadtest.growth.amounts import Amounts
from loadtest.growth.curve import Curve
from loadtest.growth.options import Options, parse
from loadtest.processes import Children
from loadtest.sizes import FULL as SIZES
from loadtest.stack import Stack


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 when all could be measured, 1 when not, 130 when interrupted."""
    options = parse(argv, FOLDER / "growth.json")
    return run(lambda: _measure(options))


def _measure(options: Options) -> bool:
    """Measure curve by curve; what is done is printed and written before the next begins, for a whole run takes an hour."""
    result: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": machine.describe(), "curves": {}}
    with Children(FOLDER / "logs-growth", ROOT) as children:
        for curve in options.curves:
            say(f"{curve.name}: {curve.title}")
            result["curves"][curve.name], text = _curve(curve, children, options.amounts)
            print("", text, "", sep="\n", flush=True)
            write(options.output, result)
    print(f"written to {options.output}")
    return not any("failed" in curve for curve in result["curves"].values())


def _curve(curve: Curve, children: Children, amounts: Amounts) -> tuple[dict[str, Any], str]:
    """Measure one curve on servers of its own: what an earlier one left in the files of PostgreSQL must not slow it down."""
    try:
        with temporary_folder("growth") as folder, Stack(children, folder, SIZES, curve.settings) as stack:
            points = curve.measure(stack, amounts, say)
    except Exception as error:  # noqa: BLE001 - a curve that cannot be measured is a finding, and the others can
        why = f"{type(error).__name__}: {error}"
        return {"title": curve.title, "failed": why}, f"{curve.name} FAILED: {why}"
    return report.as_json(curve, points), report.as_text(curve, points)


if __name__ == "__main__":
    sys.exit(main())
