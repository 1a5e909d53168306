"""A child process that does not outlive us: its own session, and ended by the kernel when its parent dies."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.embedded.account import Account
from shared.parent_death import die_with


class Process:
    """One child. `start` may be called again after it died.

    `stop_signal` asks it to end. `death_signal` is what the kernel sends it when we die, however we die (Linux only).
    `output` is a descriptor for what it prints; without one it prints where we do. `keep` are descriptors to inherit.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output: int | None = None,
        account: Account | None = None,
        keep: Sequence[int] = (),
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.stop_signal = stop_signal
        self._death_signal = death_signal
        self._keep = tuple(keep)
        self._output = output
        self._options: dict[str, Any] = {"env": env, "cwd": cwd} | (account.popen_options() if account else {})
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None before the first start. It keeps the last one after death."""
        return self._popen.pid if self._popen else None

    @property
    def returncode(self) -> int | None:
        """How it ended; minus the signal's number if a signal did it. None while it runs."""
        return self._popen.poll() if self._popen else None

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start it. Raises OSError if the program cannot be run."""
        if threading.current_thread() is not threading.main_thread():
            # The kernel sends the death signal when the creating THREAD ends, not only when the process does.
            raise RuntimeError("start processes from the main thread: they would die with any other one")
        parent = os.getpid()
        self._popen = subprocess.Popen(  # noqa: S603 - argv is ours
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,  # so that Ctrl-C in the terminal reaches only us
            pass_fds=self._keep,
            preexec_fn=lambda: die_with(parent, self._death_signal),  # noqa: PLW1509 - no other thread forks here
            **self._options,
        )

    def terminate(self) -> None:
        """Ask it to end; does not wait."""
        self._send(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL it and wait for its end."""
        self._send(signal.SIGKILL)
        self.wait(None)

    def wait(self, seconds: float | None) -> bool:
        """Wait for its end; False if it still runs after `seconds`."""
        if self._popen is None:
            return True
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _send(self, signum: signal.Signals) -> None:
        if self._popen is not None:
            self._popen.send_signal(signum)  # does nothing when it has ended: no stranger with its number is hit
