"""What PostgreSQL and Valkey have in common: start, wait for an answer, stop, start again with the same data."""

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from shared.embedded.account import account_for, settle
from shared.embedded.folder import Folder, InUseError, Pause, is_free
from shared.embedded.process import Process
from shared.errors import EmbeddedUnavailableError

READY_SECONDS = 120.0  # recovery after a crash may replay 2 GB of WAL, or a long append-only file
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05


class Server(ABC):
    """A server with its data in `data_dir`, on 127.0.0.1. `options` are settings of the server that win over ours.

    Without a `port` it takes the one of last time, or another one if that is taken. Several can run at a time, each in
    its own folder. Start it from the main thread. It ends when our process ends, however that happens (Linux).
    """

    title: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, data_dir: Path, port: int | None = None, options: Mapping[str, str] | None = None) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.port = port
        self.options = dict(options or {})
        self._process: Process | None = None
        self._folder: Folder | None = None
        self._log_start = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """How clients connect; known once it has been started."""

    @abstractmethod
    def _prepare(self, folder: Folder, port: int, lock: int) -> list[str | Path]:
        """Make data and configuration ready; return the command that starts the server."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether a client can log in and be served."""

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when it does not run."""
        return self._process.pid if self._process and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.alive

    @property
    def returncode(self) -> int | None:
        """How the last run ended; None while it runs."""
        return self._process.returncode if self._process else None

    def start(self, *, wait: bool = True, pause: Pause = time.sleep) -> None:
        """Start it and, unless told not to `wait`, return when it answers. Does nothing if it runs.

        `pause` is called to wait; it may raise to give up. Raises EmbeddedUnavailableError.
        """
        if self.alive:
            return
        account = account_for(self.data_dir)
        folder = self._folder = Folder(settle(self.data_dir, account), account)
        try:
            with folder.lock(pause) as lock:
                self._launch(folder, lock)
        except InUseError:
            raise EmbeddedUnavailableError(
                f"{self.title} already runs in {self.data_dir}.",
                "Stop the other one, or choose another folder with MILLSTREAM_DATA_DIR.",
            ) from None
        except OSError as error:
            raise EmbeddedUnavailableError(f"{self.title} cannot be started in {self.data_dir}: {error}.") from error
        if wait:
            self._wait(pause)

    def terminate(self) -> None:
        """Ask it to end; does not wait."""
        if self._process:
            self._process.terminate()

    def stop(self) -> None:
        """Stop it cleanly; kill it if that takes more than STOP_SECONDS."""
        self.terminate()
        if self._process and not self._process.wait(STOP_SECONDS):
            self.kill()

    def kill(self) -> None:
        """End it at once with SIGKILL: what a crash is like."""
        if self._process:
            self._process.kill()

    def _launch(self, folder: Folder, lock: int) -> None:
        # The port stays the same for all starts of this object: clients have been told it.
        self.port = self.port or folder.port()
        if not is_free(self.port):
            raise EmbeddedUnavailableError(
                f"Port {self.port} for {self.title} is taken by another program.", "Stop it or name another port."
            )
        log = folder.open_log()
        self._log_start = os.fstat(log).st_size
        self._process = Process(
            self._prepare(folder, self.port, lock),
            env=server_environment(),
            cwd=folder.path,
            output=log,
            account=folder.account,
            keep=(lock,),
            stop_signal=self.stop_signal,
            death_signal=self.stop_signal,  # clean: there is no hurry once we are gone
        )
        try:
            self._process.start()
        finally:
            os.close(log)

    def _wait(self, pause: Pause) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if not self.alive:
                raise self._failure("ended while it started")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"did not answer within {READY_SECONDS:g} s")
            pause(POLL_SECONDS)

    def _failure(self, what: str) -> EmbeddedUnavailableError:
        assert self._folder  # noqa: S101 - it was started
        return EmbeddedUnavailableError(
            f"{self.title} {what}. Its log ends with:\n{self._folder.log_since(self._log_start)}",
            f"The whole log: {self._folder.log}",
        )


def server_environment() -> dict[str, str]:
    """Our environment, without what steers a person's own PostgreSQL, and with messages in English."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}
