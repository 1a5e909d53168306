"""A limit on what waits to be run: beyond it producers say so instead of letting the queue grow for ever."""

import asyncio
from collections.abc import Mapping

from producer.problems import ProblemError
from shared.broker import Broker
from shared.errors import BrokerUnavailableError
from shared.keys import PRIORITIES
from shared.log import get_log

log = get_log()

REFRESH_SECONDS = 1.0
RETRY_AFTER_SECONDS = 2


def undelivered(depths: Mapping[str, int]) -> int:
    """Return the number of entries that no worker has read, of what `Broker.depths` returns."""
    return max(0, sum(depths[priority] for priority in PRIORITIES) - depths["pending"])


class Backlog:
    """Knows about once a second how many entries nobody has read; `most` = 0: no limit.

    What comes between two looks is let in. While Redis is away nothing is refused: what is committed is published later.
    """

    def __init__(self, broker: Broker, most: int) -> None:
        self._broker = broker
        self._most = most
        self._count = 0

    def check(self) -> None:
        """Raise ProblemError (429) when as many as allowed, or more, are waiting."""
        if self._most and self._count >= self._most:
            raise ProblemError(
                429,
                f"{self._count} jobs wait for a worker already, the limit is {self._most}; try again later, or start more consumers",
                retry_after=RETRY_AFTER_SECONDS,
            )

    async def run(self) -> None:
        """Keep the number up to date until cancelled; return at once when there is no limit."""
        while self._most:
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Look at Redis."""
        try:
            self._count = undelivered(await self._broker.depths())
        except BrokerUnavailableError as error:
            self._count = 0
            log.warning("backlog_unknown", error=str(error))
        except Exception:
            self._count = 0
            log.exception("backlog_unknown")
