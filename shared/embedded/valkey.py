"""An embedded Valkey (or Redis): append-only file, fsync every second. What it loses is rebuilt from PostgreSQL."""

from pathlib import Path
from typing import ClassVar

import redis

from shared.embedded.binaries import find_valkey
from shared.embedded.folder import Folder
from shared.embedded.server import Server

SETTINGS = {
    "bind": "127.0.0.1",
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
}


class Valkey(Server):
    """Valkey on loopback TCP with a password."""

    title: ClassVar[str] = "Valkey"

    @property
    def url(self) -> str:
        """`redis://...` of database 0."""
        if not (self._folder and self.port):
            raise RuntimeError("start it first")
        return f"redis://:{self._folder.password()}@127.0.0.1:{self.port}/0"

    def _prepare(self, folder: Folder, port: int, lock: int) -> list[str | Path]:  # noqa: ARG002 - inherited by the server as it is
        settings = SETTINGS | {"port": str(port), "dir": str(folder.path), "requirepass": folder.password()} | self.options
        # The password goes to a file: everyone can read a command line.
        return [
            find_valkey(folder.account),
            folder.write("valkey.conf", "".join(f"{name} {_quoted(value)}\n" for name, value in settings.items())),
        ]

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):  # not listening yet, or still loading
            return False


def _quoted(value: str) -> str:
    return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
