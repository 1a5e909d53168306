"""Keeps this process's lease alive, from a thread of its own: a handler that blocks the event loop costs no lease."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Sequence

from consumer.every import pause_until
from shared import probe
from shared.database import Database
from shared.errors import UnavailableError
from shared.lease_store import LeaseStore
from shared.log import get_log
from shared.models import Lease
from shared.settings import Settings

log = get_log()

AFTER_ERROR_SECONDS = 0.25


class Heartbeat:
    """Opens a lease, says every `heartbeat_seconds` that we live, and opens a new one when the old was declared dead.

    `on_lease` is called in the heartbeat's thread with every lease, the first one included: whatever ran under an earlier
    lease is fenced from then on. `draining` may be set from anywhere; the next beat tells it.
    """

    def __init__(self, settings: Settings, roles: Sequence[str], types: Sequence[str], on_lease: Callable[[Lease], None]) -> None:
        self._settings = settings
        self._roles = roles
        self._types = types
        self._on_lease = on_lease
        self._told_to_stop = False
        self._wake = asyncio.Event()  # of the thread's loop: do not wait for the next beat, we have been told to stop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._steady_since: float | None = None
        self._last_beat = 0.0
        self._proof: tuple[Lease, float] | None = None  # our lease, and the moment before its last beat that went through was sent
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._main,), name="heartbeat", daemon=True)
        self.draining = False

    def start(self) -> None:
        """Begin; `on_lease` follows as soon as PostgreSQL can be reached."""
        self._thread.start()

    def stop(self) -> None:
        """End the lease and the thread. Call it when every job is settled or handed back."""
        self._told_to_stop = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)
        self._thread.join(timeout=5)

    def steady_seconds(self) -> float:
        """For how long every beat has gone through.

        After an outage of PostgreSQL everyone's lease looks dead; only who has seen it work for a while may say that another is.
        """
        since = self._steady_since
        silent = time.monotonic() - self._last_beat > 2 * self._settings.heartbeat_seconds + 1
        return 0.0 if since is None or silent else time.monotonic() - since

    def holds(self, lease: Lease) -> bool:
        """Whether nobody can have declared this lease dead yet. By our own clock: whoever was frozen knows at once."""
        ours, beat_at = self._proof or (None, 0.0)
        return ours is lease and time.monotonic() - beat_at < self._settings.lease_seconds

    def _main(self) -> None:
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        database = Database(self._settings.database_url, "heartbeat", timeout=max(1.0, self._settings.heartbeat_seconds))
        store = LeaseStore(database)
        lease: Lease | None = None
        self._loop = asyncio.get_running_loop()
        while not self._told_to_stop:
            try:
                lease = await self._beat(store, lease)
                pause = self._settings.heartbeat_seconds
            except UnavailableError as error:
                self._missed(error)
                pause = AFTER_ERROR_SECONDS
            except Exception as error:  # whatever it is: without this thread the process would work on without a lease
                log.exception("heartbeat_failed")
                self._missed(error)
                pause = AFTER_ERROR_SECONDS
            await pause_until(self._wake, pause)
        await self._end(store, lease)
        await database.close()

    async def _beat(self, store: LeaseStore, lease: Lease | None) -> Lease:
        began = time.monotonic()
        if lease is not None and await store.beat(lease, draining=self.draining):
            self._noted(lease, began)
            return lease
        if lease is not None:
            log.warning("lease_lost", worker=lease.worker)
        lease = await store.open(self._settings, self._roles, self._types)
        self._noted(lease, began)
        self._on_lease(lease)
        return lease

    def _noted(self, lease: Lease, now: float) -> None:
        self._proof = lease, now
        gap = now - self._last_beat
        if self._steady_since is None or gap > 2 * self._settings.heartbeat_seconds + 1:
            self._steady_since = now
        self._last_beat = now

    def _missed(self, error: Exception) -> None:
        if self._steady_since is not None or not self._last_beat:
            log.warning("heartbeat_missed", error=str(error))
        self._steady_since = None
        self._last_beat = self._last_beat or -1.0
        probe.reached("heartbeat_missed", error)

    async def _end(self, store: LeaseStore, lease: Lease | None) -> None:
        if lease is not None:
            try:
                await store.close(lease)
            except Exception as error:  # noqa: BLE001 - the process ends either way, and the lease soon after it
                log.warning("lease_not_closed", worker=lease.worker, error=str(error))
