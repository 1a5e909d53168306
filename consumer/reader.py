"""Brings entries to a worker: never more than it has slots for, and also those that it was handed without its knowing."""

from collections.abc import Callable

from shared import probe
from shared.broker import Broker
from shared.models import Entry

BLOCK_SECONDS = 1.0  # how long a read waits; also how long a stop may have to wait for it
LEAST_URGENT_FIRST_EVERY = 8  # reads; so that a flood of urgent jobs cannot starve the others


class Reader:
    """Reads for one worker. `waiting` has a connection of its own, which is blocked while a read waits."""

    def __init__(self, broker: Broker, waiting: Broker) -> None:
        self._broker = broker
        self._waiting = waiting
        self._reads = 0
        self._in_doubt = False

    def doubt(self) -> None:
        """Note that a read or a claim broke off: entries may be the worker's without its knowing."""
        self._in_doubt = True

    async def read(self, consumer: str, free: int, known: Callable[[], set[str]], *, may_wait: bool) -> list[Entry]:
        """Return at most `free` entries, after some waiting if there are none. `known` names the entries that it deals with."""
        if self._in_doubt:
            return await self._read_own(consumer, free, known())
        self._reads += 1
        entries = await self._waiting.take(consumer, free, least_urgent_first=self._reads % LEAST_URGENT_FIRST_EVERY == 0)
        if not entries and may_wait:
            entries = await self._waiting.wait(consumer, free, BLOCK_SECONDS)
        probe.reached("read", entries)
        return await self._without_surplus(entries, free)

    async def look_for_strays(self, consumer: str, idle_seconds: float, known: set[str]) -> None:
        """Doubt, when an entry has been the worker's for so long and it does not know of it: the answer to a read or a claim was lost."""
        self._in_doubt |= bool(await self._broker.own_pending(consumer, idle_seconds, known))

    async def restore_groups(self) -> None:
        """Make the consumer groups anew that Redis has lost."""
        await self._broker.ensure_groups()

    async def _read_own(self, consumer: str, free: int, known: set[str]) -> list[Entry]:
        """The pending list names what was handed to us."""
        entries = await self._broker.own_pending(consumer, 0, known)
        self._in_doubt = len(entries) > free
        return entries[:free]

    async def _without_surplus(self, entries: list[Entry], free: int) -> list[Entry]:
        """A blocking read may give more than asked for. No entry is held without a slot for it: another consumer may be idle."""
        if len(entries) > free:
            await self._broker.requeue(entries[free:])
        return entries[:free]
