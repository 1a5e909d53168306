"""SIGINT and SIGTERM as a request that is honoured at known points, never in the middle of starting a process."""

import signal
import time
from types import FrameType
from typing import Any, Self

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_WISH_SECONDS = 0.3  # `make` passes SIGTERM on to us even where the sender has reached us too: one wish, not two


class StopRequested(Exception):  # noqa: N818 - a wish, no error
    """Somebody wants us to end."""


class Signals:
    """Counts the requests to stop while it is entered. One: stop cleanly. Two: at once."""

    def __init__(self) -> None:
        self.count = 0
        self._counted_at = float("-inf")
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for signum in STOPPING:
            # nohup ignores SIGHUP so that we go on without a terminal. SIGINT is ignored in what a script starts with
            # an ampersand, which means little: who sends it there means it.
            if signum != signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
                self._previous[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    @property
    def urgent(self) -> bool:
        """Whether patience has ended."""
        return self.count >= 2

    def pause(self, seconds: float) -> None:
        """Sleep, at most a moment; raises StopRequested if we shall end."""
        time.sleep(seconds)
        if self.count:
            raise StopRequested

    def _note(self, _signum: int, _frame: FrameType | None) -> None:
        if time.monotonic() - self._counted_at >= SAME_WISH_SECONDS:
            self.count += 1
            self._counted_at = time.monotonic()
