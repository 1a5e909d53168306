"""The parts of a stack on one machine: in which order they start, what each is told, how patiently it is stopped."""

import importlib.util
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cli import ready
from cli.reload import Reloader
from cli.signals import Signals, StopRequested
from cli.supervisor import Kept, Supervisor
from shared import stack
from shared.embedded import Postgres, Valkey
from shared.embedded.folder import is_free
from shared.embedded.process import Process
from shared.embedded.server import STOP_SECONDS, Server
from shared.errors import UnavailableError
from shared.settings import Settings, variable

MAIL_PORTS = range(1025, 1125)
MAIL_GRACE_SECONDS = 5.0
DRAIN_SECONDS = 5.0  # on top of the time that a process allows itself


@dataclass(frozen=True)
class Commands:
    """What is run, as words after the Python interpreter."""

    migrate: tuple[str, ...] = ("-m", "cli", "migrate")
    producer: tuple[str, ...] = ("-m", "producer")
    consumer: tuple[str, ...] = ("-m", "consumer")


class LocalStack:
    """Servers, mail sink, producers and consumers under one supervisor."""

    def __init__(self, settings: Settings, signals: Signals, commands: Commands | None = None) -> None:
        self._settings = settings
        self._signals = signals
        self._commands = commands or Commands()
        self._supervisor = Supervisor(signals)
        self._data_dir = settings.data_dir.absolute()
        self._mail_dir = self._data_dir / "mail"
        self._environment = dict(os.environ)
        self._announced = False
        self._reloader: Reloader | None = None

    def run(self, *, consumers: int, producers: int) -> int:
        """Start everything, keep it running until we shall stop, stop it. Returns the exit code."""
        try:
            return self._run(consumers, producers)
        except StopRequested:
            print("\nStopping; once more stops at once.", flush=True)
            return 0
        finally:
            if self._reloader is not None:
                self._reloader.stop()
            self._supervisor.stop()

    def _run(self, consumers: int, producers: int) -> int:
        self._start_stores()
        if not self._settings_has("smtp_url"):
            self._start_mail_sink()
        if code := self._migrate():
            return code
        stack.publish(self._data_dir, self._facts())
        if self._settings.reload:
            # Bytecode is told apart by the second of the last change and by size: two quick saves could look like one.
            self._environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self._add_children("producer", producers, self._commands.producer)
        started = self._add_children("consumer", consumers, self._commands.consumer)
        if self._settings.reload:
            self._reloader = Reloader(self._settings.handlers, started, self._environment)
        self._supervisor.run(self._each_time)
        return 0

    def _each_time(self) -> None:
        self._announce_once()
        if self._reloader is not None:
            self._reloader.look(time.monotonic())

    def _start_stores(self) -> None:
        if not self._settings_has("database_url"):
            self._tell("database_url", self._start_server(Postgres(self._data_dir / "postgres")))
        if not self._settings_has("redis_url"):
            self._tell("redis_url", self._start_server(Valkey(self._data_dir / "valkey")))

    def _start_server(self, server: Server) -> str:
        def restart() -> None:
            server.start(wait=False, pause=self._signals.pause)  # who needs it reconnects; we have others to look after

        kept = Kept(server.title, server, restart)
        self._supervisor.add([kept], STOP_SECONDS)
        server.start(pause=self._signals.pause)
        kept.has_started(time.monotonic())
        return server.url

    def _start_mail_sink(self) -> None:
        if importlib.util.find_spec("aiosmtpd") is None:
            raise UnavailableError(
                "The mail server for trying things out needs aiosmtpd, which is not installed.",
                "pip install 'millstream[embedded]', or set MILLSTREAM_SMTP_URL to a mail server of yours.",
            )
        port = next(filter(is_free, MAIL_PORTS), None)
        if port is None:
            raise UnavailableError(
                f"No port from {MAIL_PORTS[0]} to {MAIL_PORTS[-1]} is free for the mail sink.",
                "Set MILLSTREAM_SMTP_URL to a mail server of yours.",
            )
        sink = self._child("mail sink", "-m", "cli.mail_sink", "--folder", str(self._mail_dir), "--port", str(port))
        self._supervisor.add([sink], MAIL_GRACE_SECONDS)
        self._supervisor.tend()
        self._tell("smtp_url", f"smtp://127.0.0.1:{port}")

    def _migrate(self) -> int:
        """Bring the database up to date; returns the exit code. What is wrong has then been said already."""
        # A module that is broken now may be mended soon; the consumers publish its types then.
        without = {variable("handlers"): ""} if self._settings.reload else {}
        migration = Process([sys.executable, *self._commands.migrate], env=self._environment | without)
        migration.start()
        try:
            while migration.alive:
                self._signals.pause(0.05)
        finally:
            migration.kill()
        return migration.returncode or 0

    def _add_children(self, name: str, count: int, command: tuple[str, ...]) -> list[Kept]:
        children = [self._child(f"{name} {number}", *command) for number in range(1, count + 1)]
        self._supervisor.add(children, self._settings.grace_seconds + DRAIN_SECONDS)
        return children

    def _child(self, name: str, *command: str) -> Kept:
        process = Process([sys.executable, *command], env=self._environment)
        return Kept(name, process, process.start)

    def _announce_once(self) -> None:
        if self._announced:
            return
        self._supervisor.refuse_bad_configuration()
        if ready.answers(self._settings) and self._takes_mail():
            self._announced = True
            print(ready.announcement(self._settings, self._shown_mail_dir()), flush=True)

    def _takes_mail(self) -> bool:
        """Whether our mail sink, if we have one, has come up."""
        return self._settings_has("smtp_url") or ready.takes_mail(self._environment[variable("smtp_url")])

    def _facts(self) -> dict[str, str | None]:
        urls = {name: self._environment[variable(name)] for name in ("database_url", "redis_url", "smtp_url")}
        return {"api": ready.api_url(self._settings), **urls, "mail_dir": str(self._shown_mail_dir() or "") or None}

    def _shown_mail_dir(self) -> Path | None:
        return None if self._settings_has("smtp_url") else self._mail_dir

    def _settings_has(self, name: str) -> bool:
        return bool(os.environ.get(variable(name), "").strip())

    def _tell(self, name: str, value: str) -> None:
        self._environment[variable(name)] = value
