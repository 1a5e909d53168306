"""What a server keeps in its data folder besides its data: a lock, a password, a port and a log."""

import fcntl
import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.embedded.account import Account

LOCK_WAIT_SECONDS = 5.0  # a server whose supervisor was killed needs a moment to end
LOG_LIMIT_BYTES = 20 * 1024 * 1024
# Below the range that systems give to outgoing connections (Linux from 32768). A client that keeps trying a port of
# that range while its server is down ends up connected to itself, and the server cannot come back.
PORTS = range(20_000, 30_000)

Pause = Callable[[float], object]


class InUseError(Exception):
    """A server runs in the folder."""


class Folder:
    """The data folder at `path`; what we write there belongs to `account`."""

    def __init__(self, path: Path, account: Account | None) -> None:
        self.path = path
        self.account = account
        self.log = path / "server.log"

    @contextmanager
    def lock(self, pause: Pause = time.sleep) -> Iterator[int]:
        """Hold the folder's lock and yield a descriptor for the server to inherit.

        The lock lasts as long as any process has that descriptor open: as long as one process of the server lives, and
        no longer, whatever numbers in pid files say. Raises InUseError when a server has it.
        """
        descriptor = self.open("lock", os.O_RDWR)
        try:
            deadline = time.monotonic() + LOCK_WAIT_SECONDS
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise InUseError
                pause(0.05)
            yield descriptor
        finally:
            os.close(descriptor)

    def password(self) -> str:
        """Return the server's password; made once, readable by its owner only."""
        file = self.path / "password"
        if not file.exists():
            self.write("password", secrets.token_hex(24))
        return file.read_text().strip()

    def port(self) -> int:
        """Return the port of last time if it is free, else another one, which is then kept for next time."""
        file = self.path / "port"
        kept = file.read_text().strip() if file.exists() else ""
        if kept.isdecimal() and is_free(int(kept)):
            return int(kept)
        port = free_port()
        self.write("port", f"{port}\n")
        return port

    def write(self, name: str, text: str) -> Path:
        """Write the file `name` at once or not at all, with mode 0600."""
        unfinished = self.path / f".{name}.new"
        unfinished.unlink(missing_ok=True)
        with os.fdopen(self.open(unfinished.name, os.O_WRONLY | os.O_EXCL), "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        return unfinished.replace(self.path / name)

    def open(self, name: str, flags: int) -> int:
        """Open (or make, with mode 0600) the file `name` for us and the account; return the descriptor.

        The account could put a symlink there for root to write through: that one is not followed.
        """
        descriptor = os.open(self.path / name, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if self.account:
            os.fchown(descriptor, self.account.uid, self.account.gid)
        return descriptor

    def open_log(self) -> int:
        """Open the log to append to it; a long one is set aside first."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.open(self.log.name, os.O_WRONLY | os.O_APPEND)

    def log_since(self, offset: int, lines: int = 15) -> str:
        """Return the last lines that were logged after `offset`."""
        with self.log.open("rb") as stream:
            stream.seek(offset)
            return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-lines:])


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 now."""
    return listen_error("127.0.0.1", port) is None


def listen_error(host: str, port: int) -> OSError | None:
    """Say why no server can listen there now; None if one can.

    Without SO_REUSEPORT: a listener that shares its port with others still counts as taking it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do; old connections in TIME_WAIT do not count
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            return error
    return None


def free_port() -> int:
    """Return a random free port that no outgoing connection takes by chance."""
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
