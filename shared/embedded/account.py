"""Which account a server runs as, and a data folder that this account can use.

PostgreSQL refuses to run as root, and Valkey has no need to. Started by root, a server runs as the owner of its data
folder; for a new folder that is `postgres` if there is such an account, else `nobody`. Others run it as themselves.
"""

import hashlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import EmbeddedUnavailableError

# What an unprivileged account cannot reach where it was wanted goes here. Unlike in /var/tmp, no cleaning job removes
# the files of a server that was not started for a month, and only root can put something under our names.
STATE_HOME = Path("/var/lib")
UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An account to run a server as, instead of root."""

    name: str
    uid: int
    gid: int

    def popen_options(self) -> dict[str, Any]:
        """Return the arguments that make subprocess switch to this account for good."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can(self, *argv: str | Path) -> bool:
        """Whether `argv` succeeds as this account. The kernel knows better than mode bits do: ACLs, mounts, ..."""
        try:
            done = subprocess.run(argv, **self.popen_options(), cwd="/", capture_output=True, check=False, timeout=30)  # noqa: S603
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0

    def can_use(self, folder: Path) -> bool:
        """Whether it can reach `folder` and write there."""
        return self.can("/bin/sh", "-c", 'test -x "$1" && test -w "$1"', "sh", folder)


def account_for(folder: Path) -> Account | None:
    """Say who a server with its data in `folder` must run as; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    owner = folder.stat().st_uid if folder.exists() else 0
    if owner != 0:
        return _known(owner)
    for name in UNPRIVILEGED:
        try:
            return _known(name)
        except KeyError:
            continue
    raise EmbeddedUnavailableError(
        f"PostgreSQL does not run as root, and there is no account {' or '.join(UNPRIVILEGED)} to run it as.",
        "Run millstream as a normal user, or set DATABASE_URL to a server of yours.",
    )


def settle(wanted: Path, account: Account | None) -> Path:
    """Make the data folder `wanted` (mode 0700) and return where it really is.

    Where `account` cannot reach it (below /root, say) it is made in STATE_HOME, with a symlink at the wanted place.
    """
    try:
        real = wanted.resolve()
        _make(real, account)
        if account is None or account.can_use(real):
            return real
        return _settle_elsewhere(wanted, real, account)
    except OSError as error:
        raise EmbeddedUnavailableError(
            f"The data folder {wanted} cannot be used: {error.strerror or error}.",
            "Choose another one with MILLSTREAM_DATA_DIR.",
        ) from error


def _known(who: str | int) -> Account:
    try:
        entry = pwd.getpwnam(who) if isinstance(who, str) else pwd.getpwuid(who)
    except KeyError:
        if isinstance(who, str):
            raise
        return Account(f"uid {who}", who, who)  # a folder from another machine or container: its number will do
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make(folder: Path, account: Account | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder.stat().st_uid
    wanted_owner = account.uid if account else os.geteuid()
    if owner == wanted_owner:
        folder.chmod(0o700)
    elif owner == os.geteuid() and account and not any(folder.iterdir()):
        os.chown(folder, account.uid, account.gid)
        folder.chmod(0o700)
    else:
        # Full or foreign: taking it over could break what it belongs to, or trust what somebody else put there.
        raise EmbeddedUnavailableError(
            f"The data folder {folder} belongs to {_known(owner).name} and cannot be taken over.",
            "Start millstream as that user, or choose another folder with MILLSTREAM_DATA_DIR.",
        )


def _settle_elsewhere(wanted: Path, real: Path, account: Account) -> Path:
    if any(real.iterdir()):
        raise EmbeddedUnavailableError(
            f"The account {account.name} of the embedded servers can no longer reach their data in {real}.",
            f"Let others pass through the folders above it, for example: chmod o+x {real.parent}",
        )
    other = STATE_HOME / f"millstream-{hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]}"
    if other.is_symlink():
        raise EmbeddedUnavailableError(f"{other} is a symlink, and following it is not safe.", f"Remove it: rm {other}")
    _make(other, account)
    real.rmdir()
    wanted.symlink_to(other)
    return other
