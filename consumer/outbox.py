"""Tells Redis of jobs that SQL alone has submitted: `millstream.enqueue`, deliveries of webhooks."""

from shared import probe
from shared.broker import Broker
from shared.callback_store import PAGE, CallbackStore
from shared.dispatch_store import HORIZON_SECONDS

EVERY_SECONDS = 0.25


class Outbox:
    """Any number of them may run: each takes rows that no other is taking.

    Who dies between the commit and the publish, or finds Redis away, leaves the jobs to the reconciler, as a producer does.
    """

    def __init__(self, store: CallbackStore, broker: Broker) -> None:
        self._store = store
        self._broker = broker

    async def step(self) -> float:
        """Publish one page; return the seconds until there may be more."""
        count, jobs = await self._store.take_outbox()
        if jobs:
            probe.reached("outbox_taken", jobs)
            await self._broker.publish((job.lane, job.id) for job in jobs if job.due_in <= 0)
            await self._broker.delay([job for job in jobs if 0 < job.due_in <= HORIZON_SECONDS])
        return 0.0 if count >= PAGE else EVERY_SECONDS
