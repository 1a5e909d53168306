"""`python -m chaos.mutants`: each mistake must be found by the invariants that speak of it, and the same segment without it must hold."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.checks import Finding
from chaos.errors import ChaosError
from chaos.mutants.mistakes import MISTAKES, Mistake
from chaos.mutants.plans import plan_for
from chaos.segment import Plan, run_segment
from chaos.servers import Servers

OUTPUT = Path(".chaos/mutants")
NO_INVARIANT = 0  # the service did not come up, or nothing struck: that catches no mistake, and shows nothing


@dataclass(frozen=True)
class Kill:
    """What became of a mistake."""

    mistake: Mistake
    findings: Sequence[Finding]
    seconds: float
    false_alarms: Sequence[Finding]  # found without the mistake

    @property
    def numbers(self) -> Sequence[int]:
        """The invariants that found something."""
        return sorted({finding.number for finding in self.findings})

    @property
    def missing(self) -> Sequence[str]:
        """The invariants that speak of this mistake and found nothing."""
        return sorted(self.mistake.found_by - {finding.name for finding in self.findings})


async def hunt(names: Sequence[str], output: Path, folder: Path) -> list[Kill]:
    """Run them, one after another. The table of those so far is written after each."""
    kills: list[Kill] = []
    alarms: dict[str, Sequence[Finding]] = {}  # by the sound plan: several mistakes have the same
    servers = Servers(folder)
    servers.start()
    try:
        for name in names:
            wrong, sound = plan_for(name)
            began = time.monotonic()
            found = await _findings(servers, wrong, output / name)
            seconds = time.monotonic() - began
            if repr(sound) not in alarms:
                alarms[repr(sound)] = await _findings(servers, sound, output / f"{name}-sound")
            kills.append(Kill(MISTAKES[name], found, seconds, alarms[repr(sound)]))
            print(_line(kills[-1]), flush=True)
            (output / "table.md").write_text(table(kills))
    finally:
        servers.stop()
    return kills


async def _findings(servers: Servers, plan: Plan, folder: Path) -> Sequence[Finding]:
    try:
        outcome = await run_segment(servers, plan, folder)
        struck = bool(outcome.figures.by_fault) or not plan.faults
        return [*outcome.findings, *(() if struck else [Finding(NO_INVARIANT, "a fault strikes", f"none did: {outcome.missed}")])]
    except ChaosError as error:
        return [Finding(NO_INVARIANT, "the service comes up", str(error))]


def _line(kill: Kill) -> str:
    spoken = next((item.what for item in kill.findings if item.name in kill.mistake.found_by), "")
    found = "".join(f"; {item.number}: {item.what}" for item in kill.findings[:1])
    missed = f"NOT CAUGHT by {'; '.join(kill.missing)}{found}"
    verdict = missed if kill.missing else f"caught by {_told(kill.numbers)} ({spoken})"
    alarms = "".join(f"\n    FALSE ALARM without it, {alarm.number}: {alarm.what}" for alarm in kill.false_alarms)
    return f"{kill.mistake.name}: {verdict}; {kill.seconds:.0f} s{alarms}"


def _told(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "none"


def table(kills: Sequence[Kill]) -> str:
    """Return the kill table in Markdown."""
    head = ["| mistake | what it does | has to be found by | was found by |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_row, kills), ""])


def _row(kill: Kill) -> str:
    mistake = kill.mistake
    return f"| {mistake.name.replace('-', ' ')} | {mistake.does} | {'; '.join(sorted(mistake.found_by))} | {_told(kill.numbers)} |"


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
    return int(any(kill.missing or kill.false_alarms for kill in kills))


if __name__ == "__main__":
    sys.exit(main())
