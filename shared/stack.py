"""How tools find the stack that `millstream up` runs on a data folder: by `stack.json`, believed while locked."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from shared.errors import UnavailableError

FILE = "stack.json"
LOCK = "lock"


def running(data_dir: Path) -> dict[str, Any] | None:
    """Return what the stack on `data_dir` tells about itself (`pid`, `api`, `database_url`, ...); None if none runs."""
    try:
        facts: dict[str, Any] = json.loads((data_dir / FILE).read_text())
    except (OSError, ValueError):
        return None
    return facts if _is_held(data_dir / LOCK) else None


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Be the one stack on `data_dir`; raises UnavailableError if another one is. The kernel lets go when we die."""
    with _lock_file(data_dir) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = (running(data_dir) or {}).get("pid")
            raise UnavailableError(
                f"A stack already runs on {data_dir}" + (f" (process {pid})." if pid else "."),
                "Stop it first, or choose another folder with MILLSTREAM_DATA_DIR.",
            ) from None
        try:
            yield
        finally:
            (data_dir / FILE).unlink(missing_ok=True)


def publish(data_dir: Path, facts: dict[str, Any]) -> None:
    """Write `stack.json`, whole and for our eyes only: the URLs in it hold passwords."""
    unfinished = data_dir / f".{FILE}.new"
    with suppress(FileNotFoundError):
        unfinished.unlink()
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump({"pid": os.getpid()} | facts, stream, indent=2)
    unfinished.replace(data_dir / FILE)


def _lock_file(data_dir: Path) -> TextIO:
    try:
        return (data_dir / LOCK).open("a")
    except OSError as error:  # left by root, say
        raise UnavailableError(
            f"{data_dir / LOCK} cannot be written to: {error.strerror}.",
            "Run millstream as the user who ran it before, or choose another folder with MILLSTREAM_DATA_DIR.",
        ) from error


def _is_held(lock: Path) -> bool:
    """Whether somebody holds it. A process number would not do: after a crash it may be a stranger's."""
    try:
        with lock.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
