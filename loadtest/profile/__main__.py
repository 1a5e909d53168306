"""`make profile`, `python -m loadtest.profile`: where the CPU time of a job goes, stage by stage, statement by statement.

On servers of its own, like the benchmark. Tables go to the screen, everything to `.bench/profile.json`, the sampled stacks to
`.bench/profile/*.folded`.
"""

import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import orjson

from loadtest import machine
from loadtest.errors import MeasureError
from loadtest.processes import Children
from loadtest.profile.measure import Profile, profile
from loadtest.profile.options import Options, parse
from loadtest.profile.report import as_text, beside
from loadtest.profile.sampler import Sampler
from loadtest.stack import Stack
from shared.errors import MillstreamError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".bench"
LOGS = FOLDER / "profile-logs"
STACKS = FOLDER / "profile"


def main(argv: Sequence[str] | None = None) -> int:
    """Profile what the command line asks for; 0 when all could be measured, 1 when not, 130 when interrupted."""
    options = parse(argv, FOLDER / "profile.json")
    signal.signal(signal.SIGTERM, _interrupt)
    shutil.rmtree(STACKS, ignore_errors=True)
    STACKS.mkdir(parents=True)
    try:
        _profile(options)
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started has been stopped")
        return 130
    except (MeasureError, MillstreamError, OSError) as error:
        print(f"cannot profile: {error}", file=sys.stderr)
        return 1
    return 0


def _profile(options: Options) -> None:
    result: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": machine.describe(), "rate": options.rate, "phases": {}}
    with (
        tempfile.TemporaryDirectory(prefix="millstream-profile-", ignore_cleanup_errors=True) as folder,
        Children(LOGS, ROOT) as children,
    ):
        Path(folder).chmod(0o755)  # the account of PostgreSQL must reach it as well
        with Stack(children, Path(folder), options.sizes, options.settings) as stack:
            profiles: dict[str, Profile] = {}
            for phase in options.phases:
                found = profiles[phase.name] = profile(phase, stack, Sampler(children, LOGS, STACKS / f"{phase.name}.folded", options.rate))
                result["phases"][phase.name] = found.as_json()
                print(as_text(phase, found), end="\n\n", flush=True)
            if {"submit", "echo"} <= profiles.keys():
                print(beside(profiles["submit"], profiles["echo"]), end="\n\n")
    options.output.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    print(f"written to {options.output} and {STACKS}")


def _interrupt(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
