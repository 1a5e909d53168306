"""The side-by-side benchmark: `make bench`, or `python -m loadtest.bench --rounds 3 --only drain1,submit`.

It starts PostgreSQL and Valkey of its own in a temporary folder, measures millstream and its peers on them in
alternating rounds, prints medians and writes them to `.bench/results.json`, a table and a chart beside it. Logs of all that
it starts: `.bench/logs/`.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from loadtest import fairness, machine, report, summary, targets
from loadtest.command import FOLDER, ROOT, run, say, temporary_folder, write
from loadtest.errors import MeasureError
from loadtest.figures import Bench, Figure
from loadtest.options import Options, parse
from loadtest.peers import Installed
from loadtest.processes import Children
from loadtest.rounds import run_rounds
from loadtest.stack import Stack


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 when all could be measured, 1 when not, 130 when interrupted."""
    options = parse(argv, FOLDER / "results.json")
    return run(lambda: _report(options))


def _report(options: Options) -> bool:
    result, tables = _measure(options)
    write(options.output, result)
    summary.write(result, options.output)
    notes = (f"* {note}" for note in result["fairness"])
    print("", "\n\n".join(tables), "", *notes, "", f"written to {options.output}", sep="\n")
    return not _has_failed(result)


def _measure(options: Options) -> tuple[dict[str, Any], list[str]]:
    """Return the content of results.json and a table for each figure."""
    result: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": machine.describe(), "figures": {}, "details": {}}
    say("starting PostgreSQL and Valkey")
    with (
        temporary_folder("bench") as folder,
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
        if measured := [verdict for verdict in result["targets"] if verdict["actual"] is not None]:
            tables.append("\n".join(["targets", *report.table(targets.rows(measured))]))
    return result, tables


def _install(bench: Bench, options: Options) -> dict[str, str]:
    """Install the peers that a figure wants; return why the others could not be."""
    missing = {}
    for peer in options.peers if any(figure.uses_peers for figure in options.figures) else ():
        say(f"installing {peer.name}")
        try:
            command = peer.install(peer, FOLDER / "peers" / peer.name, bench.stack.children)
        except (MeasureError, OSError) as error:
            missing[peer.name] = f"not installed: {error}"
            say(f"{peer.name}: {missing[peer.name]}")
        else:
            bench.peers[peer.name] = Installed(peer, command, bench.stack.children, bench.stack.peer_env)
    return missing


def _figure(figure: Figure, bench: Bench, rounds: int, missing: dict[str, str], result: dict[str, Any]) -> str:
    """Measure one figure, add it to `result`, and return it as text."""
    say(f"{figure.name}: {figure.title}")
    measured = run_rounds(figure.contenders(bench), min(rounds, figure.max_rounds or rounds), say)
    if figure.uses_peers:
        measured.samples |= {name: [] for name in missing}
        measured.failures |= missing
    result["details"][figure.name] = report.as_json(figure, measured)
    result["figures"] |= report.published(figure, measured)
    return report.as_text(figure, measured)


def _has_failed(result: dict[str, Any]) -> bool:
    return any("failed" in entry for figure in result["details"].values() for entry in figure.values())


if __name__ == "__main__":
    sys.exit(main())
