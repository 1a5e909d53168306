"""Takes over from the dead: declares leases dead, then does with every entry that lies unacknowledged what its job's row demands."""

from collections import defaultdict

from consumer.heartbeat import Heartbeat
from consumer.triage import Triage
from shared import probe
from shared.broker import REAPER, Broker
from shared.lease_store import LeaseStore
from shared.log import get_log
from shared.settings import Settings

log = get_log()

EVERY_SECONDS = 0.5
IDLE_MARGIN_SECONDS = 0.25
PAGES = 20  # of up to 100 entries, in one pass and stream
GHOSTS_EVERY = 10  # passes


class Reaper:
    """Any number of them may run; each repair is idempotent."""

    def __init__(self, settings: Settings, leases: LeaseStore, broker: Broker, triage: Triage, heartbeat: Heartbeat) -> None:
        self._settings = settings
        self._leases = leases
        self._broker = broker
        self._triage = triage
        self._heartbeat = heartbeat
        # XAUTOCLAIM looks at ten entries for each that it may return: a scan that always began at 0-0 would never see the later ones.
        self._cursors: defaultdict[str, str] = defaultdict(lambda: "0-0")
        self._passes = 0

    async def step(self) -> None:
        """One pass."""
        dead = await self._leases.declare_dead() if (may_judge := self._may_judge()) else []
        for worker in dead:
            log.warning("worker_dead", worker=worker)
        for lane in self._broker.lanes:
            await self._sweep(lane)
        self._passes += 1
        if dead or self._passes % GHOSTS_EVERY == 0:
            await self._drop_ghosts()
        probe.reached("reaped", may_judge)

    def _may_judge(self) -> bool:
        """After an outage of PostgreSQL all leases look dead: wait until the living had the time to say so."""
        return self._heartbeat.steady_seconds() >= self._settings.lease_seconds - self._settings.heartbeat_seconds

    async def _sweep(self, lane: str) -> None:
        idle = self._settings.lease_seconds + IDLE_MARGIN_SECONDS
        for _ in range(PAGES):
            self._cursors[lane], entries = await self._broker.take_over(lane, idle, self._cursors[lane])
            if entries:
                probe.reached("taken_over", entries)
                await self._triage.sort_out(entries)
            if self._cursors[lane] == "0-0":
                return

    async def _drop_ghosts(self) -> None:
        """Consumers whose workers are gone stay in the group for ever otherwise."""
        live = await self._leases.live_workers()
        for consumer in sorted(await self._broker.consumers() - live):
            if await self._broker.drop_consumer(consumer) and consumer != REAPER:
                log.info("consumer_dropped", consumer=consumer)
