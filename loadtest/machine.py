"""What the figures were measured on: a number without its machine says nothing."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("aiohttp", "asyncpg", "redis", "hiredis", "uvloop", "orjson", "msgspec", "jsonschema-rs")


def describe() -> dict[str, Any]:
    """Return cores, processor, memory, load, system and versions."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _cpu(),
        "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        "load_at_start": os.getloadavg()[0],  # of the last minute: others' work that was in the way
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _said("git", "describe", "--always", "--dirty"),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    )
    return names[0] if names else platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _said(program: str, *words: str) -> str:
    if shutil.which(program) is None:
        return "missing"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
