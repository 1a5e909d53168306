"""Samples the stacks of a Python process from outside, with py-spy.

It does not pause the process. A sampler that does finds it where it next enters the kernel, not where it was: of a loop of 10 us of
Python and one getpid() of 0.25 us, four fifths of such samples were in getpid() (docs/profile.md). The price: a stack that changes while
it is read comes out torn, and compiled code is not seen.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from time import monotonic, sleep

from loadtest.errors import MeasureError
from loadtest.processes import Children
from shared.embedded.process import Process

READY = "Sampling process"
READY_SECONDS = 20.0
WRITE_SECONDS = 60.0
POLL_SECONDS = 0.02
HINT = "py-spy must be allowed to read the memory of another process: run as root, or set kernel.yama.ptrace_scope to 0"


class Sampler:
    """Writes collapsed stacks of one process to `output`, between `start` and `stop`."""

    def __init__(self, children: Children, logs: Path, output: Path, rate: int) -> None:
        self._children = children
        self._log = logs / f"py-spy-{output.stem}.log"
        self._output = output
        self._rate = rate

    def start(self, pid: int) -> Process:
        """Return py-spy's process when it samples. Raises MeasureError when it may not."""
        argv = [_program(), "record", "--nonblocking", "--pid", str(pid), "--rate", str(self._rate)]
        self._process = self._children.start(self._log.stem, [*argv, "--format", "raw", "--output", str(self._output)], os.environ)
        deadline = monotonic() + READY_SECONDS
        while READY not in self._log.read_text(errors="replace"):
            self._check(self._process)
            if monotonic() > deadline:
                raise MeasureError(f"py-spy does not begin within {READY_SECONDS:g} s; see {self._log}")
            sleep(POLL_SECONDS)
        return self._process

    def stop(self) -> Path:
        """End it and return the file with the stacks. Raises MeasureError when there are none."""
        if self._process.pid and self._process.alive:
            os.kill(self._process.pid, signal.SIGINT)  # it then writes its file
        self._process.wait(WRITE_SECONDS)
        self._children.stop(self._process)
        if not self._output.exists() or not self._output.stat().st_size:
            raise MeasureError(f"py-spy has found no stacks; see {self._log}")
        return self._output

    def _check(self, process: Process) -> None:
        try:
            self._children.check(process)
        except MeasureError as error:
            raise MeasureError(f"{HINT}. {error}") from error


def _program() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise MeasureError("py-spy is missing: pip install py-spy (it is one of the packages for development)")
    return found
