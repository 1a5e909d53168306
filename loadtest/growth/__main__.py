"""`make growth`, `python -m loadtest.growth --only queued,rows`: what things cost as work grows.

Like the benchmark it starts PostgreSQL and Valkey of its own in a temporary folder. Tables on standard output, all numbers in
`.bench/growth.json`, logs of all that it starts in `.bench/logs-growth/`.
"""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import orjson

from loadtest import machine
from loadtest.errors import MeasureError
from loadtest.growth import report
from loadtest.growth.amounts import Amounts
from loadtest.growth.curve import Curve
from loadtest.growth.options import Options, parse
from loadtest.processes import Children
from loadtest.sizes import FULL as SIZES
from loadtest.stack import Stack
from shared.errors import MillstreamError

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / ".bench"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 when all could be measured, 1 when not, 130 when interrupted."""
    options = parse(argv, FOLDER / "growth.json")
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        curves = _measure(options)
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started has been stopped")
        return 130
    except (MeasureError, MillstreamError, OSError) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    print(f"written to {options.output}")
    return 1 if any("failed" in curve for curve in curves.values()) else 0


def _measure(options: Options) -> dict[str, Any]:
    """Measure curve by curve; what is done is printed and written before the next begins, for a whole run takes an hour."""
    result: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": machine.describe(), "curves": {}}
    with Children(FOLDER / "logs-growth", ROOT) as children:
        for curve in options.curves:
            _say(f"{curve.name}: {curve.title}")
            result["curves"][curve.name], text = _curve(curve, children, options.amounts)
            print("", text, "", sep="\n", flush=True)
            _write(options.output, result)
    return dict(result["curves"])


def _curve(curve: Curve, children: Children, amounts: Amounts) -> tuple[dict[str, Any], str]:
    """Measure one curve on servers of its own: what an earlier one left in the files of PostgreSQL must not slow it down."""
    try:
        with _temporary() as folder, Stack(children, folder, SIZES, curve.settings) as stack:
            points = curve.measure(stack, amounts, _say)
    except Exception as error:  # noqa: BLE001 - a curve that cannot be measured is a finding, and the others can
        why = f"{type(error).__name__}: {error}"
        return {"title": curve.title, "failed": why}, f"{curve.name} FAILED: {why}"
    return report.as_json(curve, points), report.as_text(curve, points)


def _write(file: Path, result: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}  {line}", flush=True)


def _interrupt(*_: object) -> NoReturn:
    """Begin to end everything; a second Ctrl-C must not break into that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _temporary() -> Iterator[Path]:
    """Make a folder that the account of PostgreSQL can reach as well; remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="millstream-growth-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
