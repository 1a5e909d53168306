"""What the worker processes of a peer tell: lines of JSON in one file, written by the kit."""

from pathlib import Path

import msgspec


class Report(msgspec.Struct):
    """One line: what a process has done so far, and how long jobs waited that have begun since its last line."""

    pid: int
    count: int  # settled jobs
    first: float  # Unix time at which the first one was settled
    last: float
    waits: list[float]  # seconds from before the enqueue call to the start of the handler


class Reports:
    """All processes taken together. `read` brings it up to date; count, first and last are as in a report."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_bytes = 0
        self._by_process: dict[int, Report] = {}
        self.waits: list[float] = []

    @property
    def count(self) -> int:
        """Settled jobs of all processes."""
        return sum(report.count for report in self._by_process.values())

    @property
    def first(self) -> float:
        """When the first job was settled."""
        return min(report.first for report in self._by_process.values())

    @property
    def last(self) -> float:
        """When the last job was settled."""
        return max(report.last for report in self._by_process.values())

    def read(self) -> int:
        """Read what was written since; return `count`."""
        if self._file.exists():
            with self._file.open("rb") as file:
                file.seek(self._read_bytes)
                whole, end, _ = file.read().rpartition(b"\n")
            self._read_bytes += len(whole) + len(end)
            for line in whole.splitlines():
                self._add(msgspec.json.decode(line, type=Report))
        return self.count

    def _add(self, report: Report) -> None:
        self.waits += report.waits
        if report.count:
            self._by_process[report.pid] = report
