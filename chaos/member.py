"""One process of the service under test."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from chaos.servers import until
from shared.embedded.process import Process


class Member:
    """A producer, a consumer, or a consumer that has one role. It can be started again after it died.

    `name` is unique (`consumer-2`), `part` is what it is (`consumer`). `probes` of a start kill or freeze it at a named point.
    """

    def __init__(self, name: str, part: str, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.part = part
        self._argv = argv
        self._environment = dict(environment)
        self._log = log
        self._process: Process | None = None
        self.wanted = False  # whoever keeps the members alive starts it again

    @property
    def pid(self) -> int:
        """Its number; it keeps the last one after death."""
        return (self._process.pid or 0) if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether it runs, or is frozen."""
        return self._process is not None and self._process.alive

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.returncode if self._process else None

    def start(self, **extra: str) -> None:
        """Start it, with more in its environment if need be."""
        with self._log.open("ab") as log:
            self._process = Process(self._argv, env=self._environment | extra, cwd=Path.cwd(), output=log.fileno())
            self._process.start()
        self.wanted = True

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self._process.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stands(self) -> bool:
        """Whether it has been stopped, by itself or by us."""
        with suppress(psutil.NoSuchProcess):
            return self.alive and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        return False

    async def drained(self, seconds: float) -> bool:
        """Ask it to end, wait for that; kill it if it takes longer: False. Whoever starts it again meanwhile starts another life."""
        self.wanted = False
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        process = self._process
        if await self.ended(seconds) or process is None:
            return True
        process.kill()
        return False

    async def ended(self, seconds: float) -> bool:
        """Wait for the end of this life; whether it came."""
        process = self._process

        async def gone() -> bool:
            return process is None or not process.alive

        with suppress(TimeoutError):
            await until(gone, seconds, f"{self.name} has ended")
            return True
        return False

    def last_line(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return lines[-1] if lines else ""

    def says(self, sign: str) -> bool:
        """Whether its log holds that."""
        return self._log.exists() and sign in self._log.read_text(errors="replace")
