"""One process of the service under test."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import orjson
import psutil

from chaos.servers import until
from shared import probe
from shared.embedded.process import Process


class Member:
    """A producer, a consumer, or a consumer that has one role. It can be started again after it died.

    `name` is unique (`consumer-2`), `part` is what it is (`consumer`). `home` is the folder that it starts in, and whose code it runs.
    """

    def __init__(
        self, name: str, part: str, argv: Sequence[str], environment: Mapping[str, str], log: Path, home: Path | None = None
    ) -> None:
        self.name = name
        self.part = part
        self._argv = argv
        self._environment = dict(environment)
        self._log = log
        self.home = home or Path.cwd()
        self._process: Process | None = None
        self.wanted = False  # whoever keeps the members alive starts it again
        self.killed: set[int] = set()  # the lives that we ended by SIGKILL

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
            self._process = Process(self._argv, env=self._environment | extra, cwd=self.home, output=log.fileno())
            self._process.start()
        self.wanted = True

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self.killed.add(self.pid)
            self._process.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    @property
    def stopped(self) -> bool:
        """Whether it stands still, by itself or by us."""
        with suppress(psutil.NoSuchProcess):
            return self.alive and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        return False

    async def stands(self) -> bool:
        """Whether it has been stopped."""
        return self.stopped

    @property
    def was_killed(self) -> bool:
        """Whether it ended by a SIGKILL of ours, or has sent that to itself at a named point."""
        return self.pid in self.killed or (self.returncode == -signal.SIGKILL and self.says(probe.struck(self.pid)))

    def came_to(self, point: str, pid: int) -> bool:
        """Whether it has struck itself there, in the life with this pid."""
        return self.says(probe.announcement(point, pid))

    async def drained(self, seconds: float) -> bool:
        """Ask it to end, wait for that; kill it if it takes longer: False. Whoever starts it again meanwhile starts another life."""
        self.wanted = False
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        process = self._process
        if await self.ended(seconds) or process is None:
            return True
        self.killed.add(process.pid or 0)
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
        return (self._lines() or [""])[-1]

    def _lines(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines() if self._log.exists() else []

    def said_at(self, pid: int) -> float | None:
        """By its own clock the moment of the last line that it logged in that life; None before the first."""
        for line in reversed(self._lines()):
            with suppress(orjson.JSONDecodeError):
                event = orjson.loads(line)
                if isinstance(event, dict) and event.get("pid") == pid:
                    return datetime.fromisoformat(event["timestamp"]).timestamp()
        return None

    def says(self, sign: str) -> bool:
        """Whether its log holds that."""
        return self._log.exists() and sign in self._log.read_text(errors="replace")
