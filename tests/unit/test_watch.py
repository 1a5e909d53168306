"""Which files hot reload looks at."""

import itertools
import os
import sys
from pathlib import Path

import pytest

from cli.watch import snapshot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Modules that must not be imported to be found."""
    for path in ("single.py", "other.py", "whole/__init__.py", "whole/part.py", "whole/deep/er.py", "whole/data.txt", "loose/handlers.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("raise RuntimeError('imported')\n")
    return tmp_path


@pytest.mark.parametrize(
    ("modules", "files"),
    [
        (["single"], {"single.py"}),
        (["whole"], {"whole/__init__.py", "whole/part.py", "whole/deep/er.py"}),
        (["whole.part"], {"whole/part.py"}),
        (["loose.handlers"], {"loose/handlers.py"}),
        (["single", "whole.part", "single"], {"single.py", "whole/part.py"}),
        (["missing", "missing.too", "single.part", ""], set()),
        (["sys"], set()),
    ],
)
def test_a_module_is_its_file_a_package_its_folder(folder: Path, modules: list[str], files: set[str]) -> None:
    """Nothing else, and nothing of it is imported; what is not there has no file."""
    before = set(sys.modules)
    assert {str(Path(path).relative_to(folder)) for path in snapshot(modules, [str(folder)])} == files
    assert set(sys.modules) == before


def test_every_change_is_seen(folder: Path) -> None:
    """Another time, another size, a new file, one that is gone, a module that appears later."""
    modules, folders = ["whole", "later"], [str(folder)]
    states = [snapshot(modules, folders)]
    part = folder / "whole/part.py"
    os.utime(part, ns=(1, 1))
    states.append(snapshot(modules, folders))
    part.write_text("x = 1\n")
    os.utime(part, ns=(1, 1))
    states.append(snapshot(modules, folders))
    (folder / "whole/new.py").touch()
    states.append(snapshot(modules, folders))
    part.unlink()
    states.append(snapshot(modules, folders))
    (folder / "later.py").touch()
    states.append(snapshot(modules, folders))
    assert all(before != after for before, after in itertools.pairwise(states))
    assert snapshot(modules, folders) == states[-1]
