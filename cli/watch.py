"""Which files hold the modules of MILLSTREAM_HANDLERS, and whether they have changed. Imports nothing: that is for the consumers."""

import importlib
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

Snapshot = dict[str, tuple[int, int]]  # (modification time in ns, size) by path


def snapshot(modules: Sequence[str], folders: Sequence[str]) -> Snapshot:
    """Return the state of every file of these modules: of a module its file, of a package every .py file in its folder.

    `folders` is where to look for them, as in sys.path. A module that is not there has no file.
    """
    importlib.invalidate_caches()  # the finders remember what folders held a moment ago
    files = {file for module in modules for file in _files(_find(module, folders))}
    return {str(file): state for file in sorted(files) if (state := _state(file))}


def _find(module: str, folders: Sequence[str]) -> ModuleSpec | None:
    """Find `a.b.c` without importing `a` and `a.b`, as importlib.util.find_spec would."""
    spec: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, list(folders))
        if spec is None:
            return None
        folders = list(spec.submodule_search_locations or ())
    return spec


def _files(spec: ModuleSpec | None) -> list[Path]:
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.py")]
    return [Path(spec.origin)] if spec.origin else []


def _state(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:  # it has just gone
        return None
    return status.st_mtime_ns, status.st_size
