"""Brings back what waited for its time: retries, snoozes, scheduled jobs."""

from shared import probe
from shared.broker import Broker
from shared.redis_client import CHUNK

EVERY_SECONDS = 0.25


class Delayer:
    """Any number of them may run: the script that moves the jobs is atomic."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def step(self) -> float:
        """Move what is due; return the seconds until there may be more."""
        moved, next_in = await self._broker.promote()
        probe.reached("promoted", moved)
        if moved >= CHUNK:
            return 0.0
        return EVERY_SECONDS if next_in is None else min(next_in, EVERY_SECONDS)
