"""A real `millstream up` in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from shared import stack
from shared.embedded.folder import free_port
from tests.support.eventually import eventually_sync

START_SECONDS = 60.0
STOP_SECONDS = 60.0


class RunningUp:
    """The command, its environment, its output, and all that runs below it. Leaves nothing behind."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self.port = free_port()
        self.data_dir = folder / "data"
        self.output_dir = folder / "output"
        self.environ = clean_environment() | variables
        self.environ |= {
            "MILLSTREAM_PORT": str(self.port),
            "MILLSTREAM_DATA_DIR": str(self.data_dir),
            "MILLSTREAM_OUTPUT_DIR": str(self.output_dir),
        }
        self.log = folder / "up.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "up", *options],
                env=self.environ,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        eventually_sync(self.is_ready, START_SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.stop()

    def is_ready(self) -> bool:
        """Whether it has said so."""
        assert self.process.poll() is None, self.log.read_text()
        return "millstream is ready" in self.log.read_text()

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(STOP_SECONDS)

    def family(self) -> list[psutil.Process]:
        """Everything that runs below it now."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, words: str) -> psutil.Process:
        """Return the direct child whose command line contains `words`, as soon as there is one."""

        def found() -> psutil.Process | None:
            children = psutil.Process(self.process.pid).children()
            return next((child for child in children if words in command_line(child)), None)

        child = eventually_sync(found, 15, words)
        assert child
        return child

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask its API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def completed(self, job_id: str) -> dict[str, Any]:
        """Wait until the job is, and return it."""
        job = eventually_sync(lambda: (found := self.call(f"/jobs/{job_id}"))["status"] == "COMPLETED" and found, 30, "the end of the job")
        assert isinstance(job, dict)
        return job

    def facts(self) -> dict[str, str]:
        """What its stack.json says."""
        return stack.running(self.data_dir) or {}


def command_line(process: psutil.Process) -> str:
    """Return its words; nothing if it is ending."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def clean_environment() -> dict[str, str]:
    """Our environment without anything that configures millstream."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MILLSTREAM_", "DATABASE_URL", "REDIS_URL"))}


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs any more; a zombie that its parent has not noticed yet has ended too."""
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes if _exists(process))


def _exists(process: psutil.Process) -> bool:
    return psutil.pid_exists(process.pid)
