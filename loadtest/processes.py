"""Child processes of the benchmark: every one is known by its pid and ends with it, within bounded time.

Each child leads a session of its own: Ctrl-C in the terminal reaches the benchmark alone, which then ends its children
in order.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from loadtest.errors import MeasureError
from shared.embedded.process import Process

TERM_SECONDS = 10.0  # a child that was asked to stop is killed after so long
TAIL_BYTES = 2000
POLL_SECONDS = 0.02


class Children:
    """Starts, runs and stops children, which write to `logs/NAME.log`. Leaving the `with` block ends all of them."""

    def __init__(self, logs: Path, cwd: Path) -> None:
        self._logs = logs
        self._cwd = cwd
        self._names: dict[Process, str] = {}
        shutil.rmtree(logs, ignore_errors=True)  # of the run before
        logs.mkdir(parents=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(*self._names)

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> Process:
        """Start a server; stop it with `stop`."""
        with self._log(name).open("ab") as log:
            child = Process(argv, env=env, cwd=self._cwd, output=log.fileno())
            self._names[child] = name
            child.start()
        return child

    def run(self, name: str, argv: Sequence[str], env: Mapping[str, str], *, data: bytes = b"", timeout_seconds: float) -> bytes:
        """Run to the end and return standard output. Raises MeasureError when it fails or takes longer."""
        try:
            child = self._piped(name, argv, env)
        except OSError as error:
            raise MeasureError(f"{name}: {error}") from error
        with child:
            try:
                output, _ = child.communicate(data, timeout=timeout_seconds)
            except subprocess.TimeoutExpired:
                raise MeasureError(f"{name}: not done after {timeout_seconds:g} s{self._tail(name)}") from None
            finally:
                _end_group(child)
        if child.returncode:
            raise MeasureError(f"{name}: exit code {child.returncode}{self._tail(name)}")
        return output

    def wait_listening(self, child: Process, port: int, timeout_seconds: float = 30.0) -> None:
        """Return once `child` itself listens on `port`; another process on the same port does not count."""
        deadline = time.monotonic() + timeout_seconds
        while not _listens(child, port):
            self.check(child)
            if time.monotonic() > deadline:
                raise MeasureError(f"{self._names[child]}: does not listen after {timeout_seconds:g} s{self._tail(self._names[child])}")
            time.sleep(POLL_SECONDS)

    def check(self, child: Process) -> None:
        """Raise MeasureError when `child` has ended."""
        if not child.alive:
            name = self._names[child]
            raise MeasureError(f"{name}: ended with exit code {child.returncode}{self._tail(name)}")

    def kill(self, *children: Process) -> None:
        """SIGKILL to all and to what they have started."""
        for child in children:
            if child.alive and child.pid:
                os.killpg(child.pid, signal.SIGKILL)  # each child leads a group of its own
            child.wait(None)
            self._names.pop(child, None)

    def stop(self, *children: Process) -> None:
        """SIGTERM to all, SIGKILL to those that are still there after TERM_SECONDS."""
        for child in children:
            child.terminate()
        deadline = time.monotonic() + TERM_SECONDS
        for child in children:
            if not child.wait(max(deadline - time.monotonic(), 0.01)):
                child.kill()
            self._names.pop(child, None)

    def _piped(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._log(name).open("wb") as log:
            return subprocess.Popen(
                argv,
                env=env,
                cwd=self._cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _tail(self, name: str) -> str:
        text = self._log(name).read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        return f"; the end of {name}.log:\n{text}" if text else ""


def resident_mb(child: Process) -> float:
    """Return the resident memory of `child` in MB (10^6 bytes), and what its own children hold beyond what they share."""
    process = psutil.Process(child.pid)
    return float(process.memory_info().rss + sum(map(_unique_bytes, process.children(recursive=True)))) / 1e6


def _unique_bytes(process: psutil.Process) -> int:
    """Return 0 for a child that has just ended."""
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().uss)
    return 0


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """SIGKILL a child that is still there, and what it started. The pid of one that was reaped may be a stranger's."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _listens(child: Process, port: int) -> bool:
    try:
        sockets = psutil.Process(child.pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(item.status == psutil.CONN_LISTEN and item.laddr.port == port for item in sockets)
