"""Hot reload for development: consumers start anew when a file of the handlers changes, and only if it can be imported."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence

from cli.supervisor import Kept
from cli.watch import Snapshot, snapshot
from shared.embedded.process import Process
from shared.log import get_log

LOOK_SECONDS = 0.25
QUIET_SECONDS = 0.3  # editors and version control write in several steps
TRIAL_SECONDS = 60.0

log = get_log()


class Reloader:
    """Call `look` often. A change is tried in a process of its own first: while it cannot be imported, the old code goes on."""

    def __init__(self, modules: Sequence[str], consumers: Sequence[Kept], environment: Mapping[str, str]) -> None:
        self._modules = modules
        self._consumers = consumers
        self._folders = [os.getcwd(), *sys.path]  # noqa: PTH109 - as `python -m consumer` has it
        self._environment = environment
        self._seen = self._snapshot()
        self._looked_at = 0.0
        self._changed_at: float | None = None
        self._trial: Trial | None = None
        for consumer in consumers:
            consumer.mendable = True
        log.info("watching_handlers", modules=list(modules), files_count=len(self._seen))

    def look(self, now: float) -> None:
        """Do what is to be done now; never waits. `now` is a monotonic clock's."""
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._notice(now)
        if self._changed_at is not None and now - self._changed_at >= QUIET_SECONDS:
            self._changed_at = None
            self._trial = Trial(self._environment, now)
        if self._trial is not None and (verdict := self._trial.verdict(now)) is not None:
            self._trial = None
            self._follow(verdict)

    def stop(self) -> None:
        """End a trial that runs."""
        if self._trial is not None:
            self._trial.end()

    def _notice(self, now: float) -> None:
        found = self._snapshot()
        if found != self._seen:
            changed = [path for path in sorted({*found, *self._seen}) if found.get(path) != self._seen.get(path)]
            log.info("handlers_changed", files=changed)
            self._seen, self._changed_at = found, now
            self.stop()
            self._trial = None

    def _follow(self, problem: str) -> None:
        if problem:
            log.error("reload_refused", error=problem, hint="the consumers go on with the old code; save again when it is mended")
            return
        log.info("reloading")
        for consumer in self._consumers:
            consumer.restart()

    def _snapshot(self) -> Snapshot:
        return snapshot(self._modules, self._folders)


class Trial:
    """`python -m consumer --types` imports the handlers and runs nothing."""

    def __init__(self, environment: Mapping[str, str], now: float) -> None:
        self._deadline = now + TRIAL_SECONDS
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when its process has ended
        self._process = Process([sys.executable, "-m", "consumer", "--types"], env=environment, output=self._said.fileno())
        self._process.start()

    def verdict(self, now: float) -> str | None:
        """Return what is wrong; empty: nothing. None: not known yet."""
        if self._process.alive and now < self._deadline:
            return None
        self._process.kill()
        self._said.seek(0)
        text = self._said.read().decode("utf-8", "replace").strip()
        self.end()
        return "" if self._process.returncode == 0 else text or f"the trial ended with {self._process.returncode}"

    def end(self) -> None:
        """End it, if it has not yet ended."""
        self._process.kill()
        self._said.close()
