"""The side-by-side benchmark: `make bench`, or `python -m loadtest.bench --rounds 3 --only drain1,submit`.

It starts PostgreSQL and Valkey of its own in a temporary folder, measures millstream and its peers on them in
alternating rounds, prints medians and writes them to `.bench/results.json`, a table and a chart beside it. Logs of all that
it starts: `.bench/logs/`.
"""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import orjson

from loadtest import fairness, machine, report, summary, targets
from loadtest.errors import MeasureError
from loadtest.figures import Bench, Figure
from loadtest.options import Options, parse
from loadtest.peers import Installed
from loadtest.processes import Children
from loadtest.rounds import run_rounds
from loadtest.stack import Stack
from shared.errors import MillstreamError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".bench"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 when all could be measured, 1 when not, 130 when interrupted."""
    options = parse(argv, FOLDER / "results.json")
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        result, tables = _measure(options)
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started has been stopped")
        return 130
    except (MeasureError, MillstreamError, OSError) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    _write(options.output, result)
    print(
        "",
        "\n\n".join(tables),
        "",
        *(f"* {note}" for note in result["fairness"]),
        "",
        f"written to {options.output}",
        sep="\n",
    )
    return 1 if _has_failed(result) else 0


def _measure(options: Options) -> tuple[dict[str, Any], list[str]]:
    """Return the content of results.json and a table for each figure."""
    result: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": machine.describe(), "figures": {}, "details": {}}
    _say("starting PostgreSQL and Valkey")
    with (
        _temporary() as folder,
        Children(FOLDER / "logs", ROOT) as children,
        Stack(children, folder, options.sizes, options.settings) as stack,
    ):
        bench = Bench(stack)
        missing = _install(bench, options)
        result["machine"]["settings"] = {
            "millstream": stack.settings,
            "postgres": stack.server.settings(),
            "valkey": stack.valkey.settings(),
            "sizes": asdict(options.sizes),
            "rounds": options.rounds,
        }
        result["fairness"] = fairness.notes(installed.peer for installed in bench.peers.values())
        tables = [_figure(figure, bench, options.rounds, missing, result) for figure in options.figures]
        result["targets"] = targets.verdicts(result["figures"], {name for name, item in bench.peers.items() if item.peer.is_python})
        tables.append("\n".join(["targets", *report.table(targets.rows(result["targets"]))]))
    return result, tables


def _install(bench: Bench, options: Options) -> dict[str, str]:
    """Install the peers that a figure wants; return why the others could not be."""
    missing = {}
    for peer in options.peers if any(figure.uses_peers for figure in options.figures) else ():
        _say(f"installing {peer.name}")
        try:
            command = peer.install(peer, FOLDER / "peers" / peer.name, bench.stack.children)
        except (MeasureError, OSError) as error:
            missing[peer.name] = f"not installed: {error}"
            _say(f"{peer.name}: {missing[peer.name]}")
        else:
            bench.peers[peer.name] = Installed(peer, command, bench.stack.children, bench.stack.peer_env)
    return missing


def _figure(figure: Figure, bench: Bench, rounds: int, missing: dict[str, str], result: dict[str, Any]) -> str:
    """Measure one figure, add it to `result`, and return it as text."""
    _say(f"{figure.name}: {figure.title}")
    measured = run_rounds(figure.contenders(bench), min(rounds, figure.max_rounds or rounds), _say)
    if figure.uses_peers:
        measured.samples |= {name: [] for name in missing}
        measured.failures |= missing
    result["details"][figure.name] = report.as_json(figure, measured)
    result["figures"] |= report.published(figure, measured)
    return report.as_text(figure, measured)


def _has_failed(result: dict[str, Any]) -> bool:
    return any("failed" in entry for figure in result["details"].values() for entry in figure.values())


def _write(file: Path, result: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    summary.write(result, file)


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
    folder = Path(tempfile.mkdtemp(prefix="millstream-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
