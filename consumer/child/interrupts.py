"""Requests to stop, raised inside the handler: by a signal to the main thread, so that a sleep or a read does not delay them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from shared.errors import Interrupted

SIGNAL = signal.SIGUSR1


class Interrupts:
    """At most one for each job; never raised outside of a handler, nor where one would do harm (`held_back`)."""

    def __init__(self) -> None:
        self._main = threading.main_thread().ident or 0
        self._job_id = ""
        self._wanted: tuple[str, Interrupted] | None = None  # for which job, and what to raise in it
        self._held_back = 0
        self.has_struck = False  # in this process: whatever was interrupted then may be in disorder
        signal.signal(SIGNAL, self._on_signal)

    @property
    def busy(self) -> bool:
        """Whether a handler runs."""
        return bool(self._job_id)

    @contextmanager
    def open_for(self, job_id: str) -> Iterator[None]:
        """Requests to stop this job are raised within."""
        self._job_id = job_id
        try:
            self._strike()
            yield
        finally:
            self._job_id = ""

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """A request that comes meanwhile is raised in the end. Threads other than the main one are never interrupted."""
        if threading.get_ident() != self._main:
            yield
            return
        self._held_back += 1
        try:
            yield
        finally:
            self._held_back -= 1
            self._strike()

    def ask(self, job_id: str, request: Interrupted) -> None:
        """Raise `request` in the handler of that job, unless it has ended. Called from another thread."""
        self._wanted = (job_id, request)
        signal.pthread_kill(self._main, SIGNAL)

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self._strike()

    def _strike(self) -> None:
        if self._wanted is not None and self._wanted[0] == self._job_id and not self._held_back:
            (_, request), self._wanted = self._wanted, None
            self.has_struck = True
            raise request
