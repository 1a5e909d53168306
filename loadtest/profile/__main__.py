"""`make profile`, `python -m loadtest.profile`: where the CPU time of a job goes, stage by stage, statement by statement.

On servers of its own, like the benchmark. Tables go to the screen, everything to `.bench/profile.json`, the sampled stacks to
`.bench/profile/*.folded`.
"""

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from loadtest import machine
from loadtest.command import FOLDER, ROOT, run, temporary_folder, write
from loadtest.processes import Children
from loadtest.profile.measure import Profile, profile
from loadtest.profile.options import Options, parse
from loadtest.profile.report import as_text, beside
from loadtest.profile.sampler import Sampler
from loadtest.stack import Stack

LOGS = FOLDER / "profile-logs"
STACKS = FOLDER / "profile"


def main(argv: Sequence[str] | None = None) -> int:
    """Profile what the command line asks for; 0 when all could be measured, 1 when not, 130 when interrupted."""
    options = parse(argv, FOLDER / "profile.json")
    shutil.rmtree(STACKS, ignore_errors=True)
    STACKS.mkdir(parents=True)
    return run(lambda: _profile(options))


def _profile(options: Options) -> bool:
    result: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": machine.describe(), "rate": options.rate, "phases": {}}
    with (
        temporary_folder("profile") as folder,
        Children(LOGS, ROOT) as children,
        Stack(children, folder, options.sizes, options.settings) as stack,
    ):
        profiles: dict[str, Profile] = {}
        for phase in options.phases:
            found = profiles[phase.name] = profile(phase, stack, Sampler(children, LOGS, STACKS / f"{phase.name}.folded", options.rate))
            result["phases"][phase.name] = found.as_json()
            print(as_text(phase, found), end="\n\n", flush=True)
        if {"submit", "echo"} <= profiles.keys():
            print(beside(profiles["submit"], profiles["echo"]), end="\n\n")
    write(options.output, result)
    print(f"written to {options.output} and {STACKS}")
    return True


if __name__ == "__main__":
    sys.exit(main())
