"""Keeps processes running: one that ends is started again, with back-off; all are stopped in order, none is left."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cli.signals import Signals
from shared.errors import ConfigError, MillstreamError
from shared.log import get_log

POLL_SECONDS = 0.1
FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0
STEADY_SECONDS = 30.0  # who ran so long is taken to be well again
BAD_CONFIGURATION = 2

log = get_log()


class Part(Protocol):
    """What can be kept running: an embedded server or a child process."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    @property
    def pid(self) -> int | None:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """How it ended."""

    def terminate(self) -> None:
        """Ask it to end; do not wait."""

    def kill(self) -> None:
        """End it at once."""


@dataclass
class Backoff:
    """How long to wait before the next start: not at all the first time, then 0.5 s doubling to 10 s."""

    delay: float = 0.0

    def after(self, ran_seconds: float) -> float:
        """Return the seconds to wait after a run of `ran_seconds`."""
        if ran_seconds >= STEADY_SECONDS:
            self.delay = 0.0
        delay, self.delay = self.delay, min(LONGEST_DELAY, self.delay * 2 or FIRST_DELAY)
        return delay


@dataclass
class Kept:
    """One part that is kept running by `start`, which must not wait for long."""

    name: str
    part: Part
    start: Callable[[], None]
    backoff: Backoff = field(default_factory=Backoff)
    started_at: float = 0.0
    due_at: float | None = None  # set while it is down
    starts_count: int = 0
    restarting: bool = False  # it was told to end, and shall start again at once
    mendable: bool = False  # its configuration may be mended while we run: it then waits for `restart`

    def tend(self, now: float) -> None:
        """Start it if it is down and its time has come."""
        if self.part.alive:
            return
        if self.due_at is None:
            self._plan(now)
        if self.due_at is not None and now >= self.due_at:
            self._start(now)

    def has_started(self, now: float) -> None:
        """Take note of a start."""
        self.started_at, self.due_at = now, None
        self.starts_count += 1

    def restart(self) -> None:
        """Have it end in order and start anew, without back-off. One that has been told so already is not told again."""
        if not self.part.alive:
            self.due_at = 0.0
        elif not self.restarting:
            self.restarting = True
            self.part.terminate()

    def _plan(self, now: float) -> None:
        if self.restarting or not self.starts_count:
            self.restarting, self.due_at = False, now
            return
        if self._waits_for_mending:
            self.due_at = math.inf
            log.warning("process_waits_to_be_mended", name=self.name)
            return
        delay = self.backoff.after(now - self.started_at)
        self.due_at = now + delay
        log.warning("process_ended", name=self.name, returncode=self.part.returncode, restart_in_seconds=delay)

    @property
    def _waits_for_mending(self) -> bool:
        return self.mendable and self.part.returncode == BAD_CONFIGURATION

    def _start(self, now: float) -> None:
        self.has_started(now)
        try:
            self.start()
        except (OSError, MillstreamError) as error:  # a full disk, say: try again, with back-off
            log.error("process_not_started", name=self.name, error=str(error))  # noqa: TRY400 - the sentence says it
        else:
            log.info("process_started", name=self.name, pid=self.part.pid)


@dataclass
class Group:
    """Parts that are stopped together and get `grace_seconds` to end."""

    members: Sequence[Kept]
    grace_seconds: float


class Supervisor:
    """Tends the groups in the order in which they were added, stops them in the opposite order."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._groups: list[Group] = []

    def add(self, members: Iterable[Kept], grace_seconds: float) -> None:
        """Look after these from now on."""
        self._groups.append(Group(list(members), grace_seconds))

    def tend(self) -> None:
        """Look after everyone once."""
        for kept in self._everyone():
            kept.tend(time.monotonic())

    def run(self, each_time: Callable[[], None]) -> None:
        """Tend until StopRequested; call `each_time` in between."""
        while True:
            self.tend()
            each_time()
            self._signals.pause(POLL_SECONDS)

    def refuse_bad_configuration(self) -> None:
        """Raise ConfigError if somebody ended because of its configuration: starting it again is in vain."""
        for kept in self._everyone():
            if kept.part.returncode == BAD_CONFIGURATION and not kept.mendable:
                raise ConfigError([f"The {kept.name} does not accept its configuration; what it says is above."])

    def stop(self) -> None:
        """Stop everyone; when it returns, nobody runs. A second signal ends the waiting."""
        for group in reversed(self._groups):
            self._stop(group)

    def _stop(self, group: Group) -> None:
        for kept in group.members:
            kept.part.terminate()
        deadline = time.monotonic() + group.grace_seconds
        while any(kept.part.alive for kept in group.members):
            if self._signals.urgent or time.monotonic() > deadline:
                _kill(group)
            time.sleep(POLL_SECONDS / 4)

    def _everyone(self) -> list[Kept]:
        return [kept for group in self._groups for kept in group.members]


def _kill(group: Group) -> None:
    for kept in group.members:
        if kept.part.alive:
            log.warning("process_killed", name=kept.name, pid=kept.part.pid)
            kept.part.kill()
