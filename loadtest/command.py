"""What the commands that measure have in common: how they end, where their servers live, what they print and write."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import orjson

from loadtest.errors import MeasureError
from shared.errors import MillstreamError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".bench"


def run(measure: Callable[[], bool]) -> int:
    """Return the exit code: 0 when `measure` could measure all, 1 when not, 130 when interrupted."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return 0 if measure() else 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started has been stopped")
        return 130
    except (MeasureError, MillstreamError, OSError) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1


def say(line: str) -> None:
    """Print a line with the time."""
    print(f"{datetime.now(UTC):%H:%M:%S}  {line}", flush=True)


def write(file: Path, result: dict[str, Any]) -> None:
    """Write `result` as JSON that people can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Make a folder that the account of PostgreSQL can reach as well; remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"millstream-{purpose}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _interrupt(*_: object) -> NoReturn:
    """Begin to end everything; a second Ctrl-C must not break into that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
