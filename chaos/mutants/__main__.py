"""`python -m chaos.mutants`: each mistake must be caught, and the same segment without it must hold."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.checks import Finding
from chaos.mutants.mistakes import MISTAKES
from chaos.mutants.plans import plan_for
from chaos.segment import Plan, run_segment
from chaos.servers import Servers

OUTPUT = Path(".chaos/mutants")


@dataclass(frozen=True)
class Kill:
    """What became of a mistake."""

    name: str
    caught_by: Sequence[int]  # invariants
    first: str  # what was found first
    seconds: float
    false_alarms: Sequence[Finding]  # found without the mistake


async def hunt(names: Sequence[str], output: Path, folder: Path) -> list[Kill]:
    """Run them, one after another."""
    servers = Servers(folder)
    servers.start()
    try:
        return [await _hunted(servers, name, output) for name in names]
    finally:
        servers.stop()


async def _hunted(servers: Servers, name: str, output: Path) -> Kill:
    wrong, sound = plan_for(name)
    began = time.monotonic()
    found = await _findings(servers, wrong, output / name)
    seconds = time.monotonic() - began
    alarms = await _findings(servers, sound, output / f"{name}-sound")
    kill = Kill(name, sorted({item.number for item in found}), found[0].what if found else "", seconds, alarms)
    print(_line(kill), flush=True)
    return kill


async def _findings(servers: Servers, plan: Plan, folder: Path) -> Sequence[Finding]:
    return (await run_segment(servers, plan, folder)).findings


def _line(kill: Kill) -> str:
    verdict = f"caught by {_numbers(kill)} ({kill.first})" if kill.caught_by else "NOT CAUGHT"
    alarms = "".join(f"\n    FALSE ALARM without it, {alarm.number}: {alarm.what}" for alarm in kill.false_alarms)
    return f"{kill.name}: {verdict}; {kill.seconds:.0f} s{alarms}"


def _numbers(kill: Kill) -> str:
    return ", ".join(map(str, kill.caught_by))


def table(kills: Sequence[Kill]) -> str:
    """Return the kill table in Markdown."""
    lines = [f"| {kill.name.replace('-', ' ')} | {MISTAKES[kill.name].__doc__} | {_numbers(kill) or 'not caught'} |" for kill in kills]
    return "\n".join(["| mistake | what it does | found by invariant |", "|---|---|---|", *lines, ""])


def main() -> int:
    """Run; 0 when every mistake was caught and nothing else was found."""
    parser = argparse.ArgumentParser(prog="python -m chaos.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MISTAKE", help=f"default: all of {', '.join(MISTAKES)}")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    told = parser.parse_args()
    if strangers := set(told.names) - MISTAKES.keys():
        parser.error(f"unknown: {', '.join(sorted(strangers))}")
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        kills = asyncio.run(hunt(told.names or list(MISTAKES), told.output, Path(folder)))
    (told.output / "table.md").write_text(table(kills))
    return int(any(not kill.caught_by or kill.false_alarms for kill in kills))


if __name__ == "__main__":
    sys.exit(main())
