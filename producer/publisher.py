"""Tells Redis of committed jobs, in batches, behind the answer. While Redis is away the ids wait here, up to a bound."""

import asyncio
from collections.abc import Sequence

from shared import probe
from shared.batch import Batcher
from shared.broker import Broker
from shared.dispatch_store import HORIZON_SECONDS
from shared.errors import BrokerUnavailableError
from shared.log import get_log
from shared.models import Due

log = get_log()

BATCH = 5_000
MOST_WAITING = 200_000  # ids; what is beyond is left to the reconciler
RETRY_SECONDS = 0.25
Publication = tuple[str, str] | Due


class Publisher:
    """Publishes what it is given as soon as it can."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._batcher: Batcher[Publication] = Batcher(self._send, BATCH)
        self._stopping = False

    def put(self, jobs: Sequence[tuple[str, str]]) -> None:
        """Publish (lane, id): they may run now."""
        self._keep(jobs)

    def put_off(self, jobs: Sequence[Due]) -> None:
        """Publish jobs that are due later."""
        self._keep([job for job in jobs if job.due_in <= HORIZON_SECONDS])

    async def run(self) -> None:
        """Publish until `close`, then what is left, if Redis takes it at once."""
        await self._batcher.run()

    def close(self) -> None:
        """End `run`."""
        self._stopping = True
        self._batcher.close()

    def _keep(self, jobs: Sequence[Publication]) -> None:
        if len(self._batcher) > MOST_WAITING:
            log.warning("publish_left_to_the_reconciler", count=len(jobs))
            return
        self._batcher.put_all(jobs)

    async def _send(self, batch: list[Publication]) -> None:
        probe.reached("publishing", batch)
        later = [job for job in batch if isinstance(job, Due)]
        now = [job for job in batch if not isinstance(job, Due)]
        interrupted = False
        while True:
            try:
                await self._broker.publish(now)
                await self._broker.delay(later)
            except BrokerUnavailableError as error:
                if not interrupted:
                    log.warning("publish_interrupted", error=str(error), waiting=len(self._batcher) + len(batch))
                interrupted = True
                if self._stopping:
                    return
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:
                log.exception("publish_left_to_the_reconciler", count=len(batch))
            return
