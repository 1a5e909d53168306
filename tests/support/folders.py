"""Folders for servers."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Make a folder that every account can reach, which pytest's `tmp_path` is not; it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="millstream-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
