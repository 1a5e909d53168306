"""Files that handlers make: whole or absent, never half, whatever is killed and however many attempts run at once."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from shared.errors import PermanentFailure

__all__ = ["write_output"]

_MINE_ALONE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLDER_ATTEMPTS = 10


def write_output(folder: Path, job_id: str, attempt: int, suffix: str, chunks: Iterable[bytes]) -> tuple[Path, int]:
    """Write `chunks` to `<folder>/<job_id><suffix>`; return path and size in bytes. Blocks: call it in a thread.

    The file is on disk, whole, before this returns; until then a reader sees the previous one or none. A rival attempt
    of the same job replaces it by its own whole file. Nothing but the job's id chooses the name. Raises OSError, and
    what `chunks` raises; then nothing is left behind.
    """
    name = _safe_id(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(folder) as where:
        # Left behind by attempts that were killed. One that still runs has lost the job to this one, and may well fail.
        for older in range(max(1, attempt - _OLDER_ATTEMPTS), attempt):
            _remove(_unfinished(name, older), where)
        unfinished = _unfinished(name, attempt)
        try:
            size = _write(unfinished, where, chunks)
            # A rename replaces a link that waits under our name instead of following it.
            os.rename(unfinished, f"{name}{suffix}", src_dir_fd=where, dst_dir_fd=where)
        except BaseException:
            _remove(unfinished, where)
            raise
        os.fsync(where)
    return folder / f"{name}{suffix}", size


def _safe_id(job_id: str) -> str:
    try:
        return str(UUID(job_id))
    except ValueError:
        raise PermanentFailure(f"job id {job_id!r} is no UUID: no file is named after it") from None


def _unfinished(name: str, attempt: int) -> str:
    return f".{name}.{attempt}.tmp"


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    # All steps speak of the folder that was opened, even when someone swaps its path for another meanwhile.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(name: str, folder: int, chunks: Iterable[bytes]) -> int:
    with os.fdopen(os.open(name, _MINE_ALONE, mode=0o644, dir_fd=folder), "wb") as file:
        size = sum(file.write(chunk) for chunk in chunks)
        file.flush()
        os.fsync(file.fileno())
    return size


def _remove(name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
