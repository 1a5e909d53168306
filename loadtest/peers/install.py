"""Installs a peer's pinned packages once, into `.bench/peers/NAME/`; nothing of it touches our environment."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loadtest.errors import MeasureError
from loadtest.processes import Children

if TYPE_CHECKING:
    from loadtest.peers.peer import Peer

INSTALL_SECONDS = 300.0
NEWEST_MINOR = 14  # of Python 3


def npm(peer: "Peer", folder: Path, children: Children) -> list[str]:
    """Install with npm, without a lock file and without install scripts. Raises MeasureError with npm's own words.

    A peer that names `node` among its packages runs on that version, whatever the machine has; the others on the machine's.
    """
    node = shutil.which("node")
    if node is None:
        raise MeasureError(f"{peer.name}: wants node, which is not on this machine")
    if not _is_installed(peer, folder):
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"name": f"bench-{peer.name}", "private": True, "dependencies": _dependencies(peer)}
        (folder / "package.json").write_text(json.dumps(manifest))
        argv = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev"]
        children.run(f"{peer.name}-install", [*argv, "--prefix", str(folder)], os.environ, timeout_seconds=INSTALL_SECONDS)
        _mark(peer, folder)
    own = folder / "node_modules" / "node" / "bin" / "node"
    return [str(own) if "node" in peer.packages else node, _placed(peer, folder)]


def venv(peer: "Peer", folder: Path, children: Children, *, oldest: tuple[int, int] = (3, 11)) -> list[str]:
    """Install with pip into a virtual environment of our Python, or of a newer one on PATH where `oldest` says so.

    Raises MeasureError with pip's own words, or when there is no such Python.
    """
    python = folder / "venv" / "bin" / "python"
    if not _is_installed(peer, folder):
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [f"{name}=={version}" for name, version in peer.packages.items()]
        for argv in (
            [_interpreter(peer, oldest), "-m", "venv", "--clear", str(folder / "venv")],
            [str(python), "-m", "pip", "install", "-q", *wanted],
        ):
            children.run(f"{peer.name}-install", argv, os.environ, timeout_seconds=INSTALL_SECONDS)
        _mark(peer, folder)
    return [str(python), _placed(peer, folder)]


def _interpreter(peer: "Peer", oldest: tuple[int, int]) -> str:
    """Return our Python when it is new enough, else the next newer one on PATH that runs (a shim may be there without its Python)."""
    if sys.version_info >= oldest:
        return sys.executable
    for minor in range(oldest[1], NEWEST_MINOR + 1):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    raise MeasureError(f"{peer.name}: wants Python {oldest[0]}.{oldest[1]} or newer, which is not on PATH")


def _dependencies(peer: "Peer") -> dict[str, str]:
    """Return what npm is to install. The package `node` gets its binary by an install script: take the one that has it inside."""
    architecture = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    wanted = dict(peer.packages)
    if "node" in wanted:
        wanted["node"] = f"npm:node-{sys.platform}-{architecture}@{wanted['node']}"
    return wanted


def _placed(peer: "Peer", folder: Path) -> str:
    """Copy the script and its kit next to the peer's packages; return where the script is."""
    here = Path(__file__).parent
    shutil.copy(here / "kit.mjs", folder)
    (folder / "loadtest" / "peers").mkdir(parents=True, exist_ok=True)
    shutil.copy(here / "kit.py", folder / "loadtest" / "peers")
    return str(shutil.copy(peer.script, folder))


def _is_installed(peer: "Peer", folder: Path) -> bool:
    marker = folder / "installed.json"
    return marker.exists() and json.loads(marker.read_text()) == dict(peer.packages)


def _mark(peer: "Peer", folder: Path) -> None:
    (folder / "installed.json").write_text(json.dumps(dict(peer.packages)))
