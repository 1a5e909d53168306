"""CPU time of everyone who takes part in a measurement: what two cores were spent on."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from loadtest.errors import MeasureError
from loadtest.stats import Sample


class CpuMeter:
    """Counts from its creation on. `parties`: name -> process ids; children count with them, those that have ended as well."""

    def __init__(self, parties: Mapping[str, Sequence[int]]) -> None:
        self._parties = parties
        self._before = self._seconds()

    def microseconds_each(self, count: int, **others: float) -> Sample:
        """Return the CPU time since then of every party over `count`; `others` are seconds that somebody else has measured.

        Raises MeasureError for a count of 0.
        """
        if count < 1:
            raise MeasureError("all was done before the first look: there have to be more jobs")
        now = self._seconds()
        used = {name: now[name] - self._before[name] for name in self._parties} | others
        return {f"CPU us {name}": seconds / count * 1e6 for name, seconds in used.items()}

    def _seconds(self) -> dict[str, float]:
        return {name: sum(map(_with_children, pids)) for name, pids in self._parties.items()}


def _with_children(pid: int) -> float:
    process = psutil.Process(pid)
    ended = process.cpu_times()
    return ended.children_user + ended.children_system + sum(map(_own, [process, *process.children(recursive=True)]))


def _own(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
