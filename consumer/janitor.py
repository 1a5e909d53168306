"""Keeps house: forgets what is older than the retention. Counters are summed up more often, see `FOLD_EVERY_SECONDS`."""

from consumer.artifact_sweep import ArtifactSweep
from shared import probe
from shared.artifact_store import ArtifactStore
from shared.broker import Broker
from shared.dispatch_store import DispatchStore
from shared.lease_store import LeaseStore
from shared.settings import Settings

EVERY_SECONDS = 60.0
FOLD_EVERY_SECONDS = 5.0  # of the counters alone: whoever asks for statistics reads those of all moves since
DAY_SECONDS = 86_400


class Janitor:
    """Any number of them may run."""

    def __init__(self, settings: Settings, dispatch: DispatchStore, leases: LeaseStore, broker: Broker) -> None:
        self._retention_seconds = settings.retention_days * DAY_SECONDS
        self._dispatch = dispatch
        self._leases = leases
        self._broker = broker
        self._artifacts = ArtifactSweep(ArtifactStore(settings), dispatch, self._retention_seconds)

    async def step(self) -> None:
        """One round."""
        await self._dispatch.fold_counts()
        probe.reached("cleaning", self._retention_seconds)
        while await self._dispatch.forget_finished(self._retention_seconds, self._broker.letters.forget):
            pass
        while await self._dispatch.forget_runs(self._retention_seconds):
            pass
        await self._dispatch.forget_keys()
        await self._leases.forget_dead()
        await self._artifacts.step()  # last: a bucket that does not answer delays nothing else
