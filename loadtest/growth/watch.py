"""Memory while something else is waited for: the highest point counts, and it may last for a blink only."""

import threading
from collections.abc import Callable
from typing import Self

from loadtest.stats import Sample

EVERY_SECONDS = 0.02


class Peak:
    """Reads in a thread of its own as long as the `with` block lasts; `highest` is the highest value of each measure."""

    def __init__(self, read: Callable[[], Sample]) -> None:
        self._read = read
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.highest: Sample = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            for measure, value in self._read().items():
                self.highest[measure] = max(value, self.highest.get(measure, 0.0))
