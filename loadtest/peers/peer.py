"""What a peer is, and how its verbs are called."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from loadtest.peers.reports import Reports
from loadtest.processes import Children
from shared.embedded.process import Process

VERB_SECONDS = 300.0


class Rate(msgspec.Struct):
    """What `submit` and `bulk` print."""

    rate: float  # jobs a second


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A job system, its exact versions, its settings, and what it promises."""

    name: str
    packages: Mapping[str, str]  # pinned: name -> version
    install: Callable[["Peer", Path, Children], list[str]]  # (peer, folder) -> the command that runs the script
    script: Path
    settings: str  # how its worker is set up; the fast way that its makers recommend
    makes_durable: str  # what survives once it has said "queued" and "done"
    drain_jobs: int  # so many take one worker about three seconds
    needs_setup: bool = False

    @property
    def is_python(self) -> bool:
        """Whether it is written for Python."""
        return self.script.suffix == ".py"


@dataclass
class Workers:
    """Worker processes of one peer, and what they have told."""

    processes: list[Process]
    reports: Reports


@dataclass(frozen=True)
class Installed:
    """A peer that can be run. `servers` are the environment variables that name the (emptied) servers."""

    peer: Peer
    command: list[str]
    children: Children
    servers: Callable[[], dict[str, str]] = field(repr=False)

    def setup(self) -> None:
        """Prepare an empty store."""
        if self.peer.needs_setup:
            self._run("setup")

    def fill(self, count: int) -> None:
        """Queue `count` jobs."""
        self._run("fill", count)

    def submit(self, seconds: float) -> float:
        """Return jobs a second, queued one by one."""
        return msgspec.json.decode(self._run("submit", seconds), type=Rate).rate

    def bulk(self, seconds: float) -> float:
        """Return jobs a second, queued 500 a call."""
        return msgspec.json.decode(self._run("bulk", seconds), type=Rate).rate

    def pace(self, rate: float, seconds: float) -> None:
        """Queue `rate` jobs a second, come what may."""
        self._run("pace", rate, seconds)

    @contextmanager
    def workers(self, count: int, folder: Path) -> Iterator[Workers]:
        """Start `count` worker processes; kill them and their children at the end. Nothing in the stores matters afterwards."""
        report = folder / f"{self.peer.name}.report"
        report.unlink(missing_ok=True)
        env = self.servers() | {"BENCH_REPORT": str(report)}
        processes: list[Process] = []
        try:
            processes += [self.children.start(f"{self.peer.name}-work", [*self.command, "work"], env) for _ in range(count)]
            yield Workers(processes, Reports(report))
        finally:
            self.children.kill(*processes)

    def _run(self, verb: str, *words: float) -> bytes:
        argv = [*self.command, verb, *(f"{word:g}" for word in words)]
        return self.children.run(f"{self.peer.name}-{verb}", argv, self.servers(), timeout_seconds=VERB_SECONDS)
