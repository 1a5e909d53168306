"""PostgreSQL and Valkey of the run, to be broken: killed, frozen, emptied, set back, filled to the brim."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit

import psutil

from chaos.errors import NotInTimeError
from shared.broker import Broker
from shared.database import Database
from shared.embedded import Postgres, Valkey
from shared.embedded.server import Server
from shared.errors import EmbeddedUnavailableError, UnavailableError
from shared.keys import Keys

READY_SECONDS = 60.0
POLL_SECONDS = 0.05
POSTGRES_MB = 1500
VALKEY_MB = 200
BALLAST = "ballast"
COPIES = 5  # of files that may change meanwhile


class Disk:
    """A file system of its own for a server, so that it can be filled. Without the right to mount one it is a plain folder."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._size = megabytes
        self.own = False

    def mount(self) -> None:
        """Make it."""
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0 and (mount := shutil.which("mount")):
            made = subprocess.run(
                [mount, "-t", "tmpfs", "-o", f"size={self._size}m,mode=0755", "chaos", self.folder], capture_output=True, check=False
            )
            self.own = made.returncode == 0

    def unmount(self) -> None:
        """Give it back, with all that is in it."""
        if self.own and (umount := shutil.which("umount")):
            subprocess.run([umount, "--lazy", self.folder], capture_output=True, check=False)
            self.own = False

    def fill(self) -> None:
        """Leave no byte free."""
        chunk = bytes(1024**2)
        with (self.folder / BALLAST).open("wb", buffering=0) as ballast, suppress(OSError):
            while chunk:
                chunk = chunk[: ballast.write(chunk)]

    def clear(self) -> None:
        """Give the room back."""
        (self.folder / BALLAST).unlink(missing_ok=True)


class Servers:
    """Both servers. `start` and what starts them again is for the main thread: they die with the thread that made them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disks = {"postgres": Disk(folder / "postgres", POSTGRES_MB), "valkey": Disk(folder / "valkey", VALKEY_MB)}
        self.postgres = Postgres(folder / "postgres" / "data", options={"max_wal_size": "256MB", "log_min_messages": "fatal"})
        self.valkey = Valkey(folder / "valkey" / "data")
        self._copy = folder / "valkey-copy"

    def start(self) -> None:
        """Start both, with a cluster of their own; returns when they answer."""
        for disk in self.disks.values():
            disk.mount()
        for server in (self.postgres, self.valkey):
            server.start()

    def stop(self) -> None:
        """End both, for good."""
        for server in (self.valkey, self.postgres):
            self.thaw(server)
            server.kill()
        for disk in self.disks.values():
            disk.unmount()

    async def heal(self) -> None:
        """Make sure that both run and have room."""
        for disk in self.disks.values():
            disk.clear()
        for server in (self.postgres, self.valkey):
            self.thaw(server)
            await self.up(server)
        async with self._valkey_client() as broker:
            await broker.command("CONFIG", "SET", "maxmemory", 0)

    async def up(self, server: Server, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        """Start it, again if need be, and return when it answers. `environment` is added to ours, which it inherits."""

        async def serves() -> bool:
            with suppress(EmbeddedUnavailableError), _added(environment):  # the processes of its last life may still be there
                server.start(wait=False)
            return await self._answers(server)

        await until(serves, READY_SECONDS, f"{server.title} answers")

    async def down(self, server: Server, number: signal.Signals) -> None:
        """Send it a signal that ends it, and return when it is gone with all its children: a busy backend serves on for a while."""
        if server.pid is not None:
            self.thaw(server)
            family = _family(server)
            os.kill(server.pid, number)
            gone = _yes(lambda: not server.alive and not any(process.is_running() for process in family[1:]))
            await until(gone, READY_SECONDS, f"{server.title} is gone")

    def freeze(self, server: Server) -> None:
        """Stop it and all its children, as a machine that swaps or a paused container does."""
        _signal_all(server, signal.SIGSTOP)

    def thaw(self, server: Server) -> None:
        """Let it go on."""
        _signal_all(server, signal.SIGCONT)

    def save_valkey(self) -> None:
        """Remember the files of Valkey as they are now. Raises OSError when it was writing them anew each time."""
        for _ in range(COPIES):
            with suppress(subprocess.CalledProcessError):
                self._replace(self.valkey.data_dir / "appendonlydir", self._copy)
                if _whole(self._copy):
                    return
        raise OSError("Valkey was writing its files anew")

    def restore_valkey(self, *, empty: bool = False) -> None:
        """Put the remembered files back, or none. Valkey must be down."""
        files = self.valkey.data_dir / "appendonlydir"
        if empty:
            shutil.rmtree(files, ignore_errors=True)
        else:
            self._replace(self._copy, files)

    async def new_database(self, name: str) -> str:
        """Make an empty database; return its URL."""
        admin = Database(self.postgres.url, "chaos")
        try:
            await admin.fetch(f'CREATE DATABASE "{name}"')
        finally:
            await admin.close()
        return urlunsplit(urlsplit(self.postgres.url)._replace(path=f"/{name}"))

    async def drop_database(self, name: str) -> None:
        """Remove a database; in the middle of a fault it goes with its server, soon after."""
        admin = Database(self.postgres.url, "chaos")
        self.thaw(self.postgres)
        try:
            with suppress(UnavailableError):
                await admin.fetch(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await admin.close()

    async def _answers(self, server: Server) -> bool:
        with suppress(UnavailableError):
            if server is self.postgres:
                probe = Database(server.url, "chaos", timeout=2)
                try:
                    return await probe.fetch_value("SELECT NOT pg_is_in_recovery()") is True
                finally:
                    await probe.close()
            async with self._valkey_client() as broker:
                await broker.ping()
            return True
        return False

    @asynccontextmanager
    async def _valkey_client(self) -> AsyncIterator[Broker]:
        broker = Broker(self.valkey.url, Keys("chaos"), "chaos", timeout=2)
        try:
            yield broker
        finally:
            await broker.close()

    def _replace(self, source: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "--archive", source, target], check=True, capture_output=True)


def _whole(folder: Path) -> bool:
    """Whether all files are there that the manifest of an append-only file names."""
    manifests = [*folder.glob("*.manifest")]
    named = [line.split()[1] for manifest in manifests for line in manifest.read_text().splitlines() if line.startswith("file ")]
    return bool(manifests) and all((folder / name).exists() for name in named)


@contextmanager
def _added(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def until(true: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Ask again and again until it is so. Raises NotInTimeError."""
    try:
        async with asyncio.timeout(seconds):
            while not await true():
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise NotInTimeError(seconds, what) from None


def _yes(check: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return check()

    return asked


def _signal_all(server: Server, number: signal.Signals) -> None:
    for process in _family(server):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _family(server: Server) -> list[psutil.Process]:
    """Its process and all children of it."""
    if server.pid is not None:
        with suppress(psutil.NoSuchProcess):
            leader = psutil.Process(server.pid)
            return [leader, *leader.children(recursive=True)]
    return []
