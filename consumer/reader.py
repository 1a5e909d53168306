"""Brings entries to a worker: never more than it has slots for, and also those that it was handed without its knowing."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from consumer.portions import Portions
from shared import probe
from shared.broker import Broker
from shared.keys import lanes_of, queue_of
from shared.models import Entry, Portion
from shared.queues import Queues

BLOCK_SECONDS = 1.0  # how long a read waits; also how long a stop may have to wait for it
FULL_SECONDS = 0.05  # how long it waits while a queue is at its limit, or all are paused
LEAST_URGENT_FIRST_EVERY = 8  # reads; so that a flood of urgent jobs cannot starve the others

Known = Callable[[], Iterable[Entry]]


class Reader:
    """Reads for one worker. `waiting` has a connection of its own, which is blocked while a read waits."""

    def __init__(self, broker: Broker, waiting: Broker, queues: Queues, portions: Portions) -> None:
        self._broker = broker
        self._waiting = waiting
        self._queues = queues
        self._portions = portions
        self._reads = 0
        self.in_doubt = False  # entries may be the worker's without its knowing: the next read looks there first

    def doubt(self) -> None:
        """Note that a read or a claim broke off: entries may be the worker's without its knowing."""
        self.in_doubt = True

    async def read(self, consumer: str, free: int, known: Known, *, may_wait: bool) -> list[Entry]:
        """Return at most `free` entries, after some waiting if there are none. `known` gives the entries that it deals with."""
        if self.in_doubt:
            return await self._read_own(consumer, free, _ids(known()))
        running = Counter(queue_of(entry.lane) for entry in known()) if self._portions.limited else {}
        portions = self._portions.divide(free, self._queues.open, running)
        if not portions:
            await asyncio.sleep(FULL_SECONDS)  # all queues are paused, or at their limits
            return []
        entries = await self._take(consumer, free, portions)
        if not entries and may_wait:
            pause = FULL_SECONDS if self._portions.any_full(self._queues.open, running) else BLOCK_SECONDS
            entries = await self._waiting.wait(consumer, free, pause, lanes_of(portion.queue for portion in portions))
        probe.reached("read", entries)
        return await self._without_surplus(entries, free, portions)

    def takes(self, entry: Entry) -> bool:
        """Whether jobs of this entry's queue may begin now."""
        return queue_of(entry.lane) in self._queues.open

    async def look_for_strays(self, consumer: str, idle_seconds: float, known: Iterable[Entry]) -> None:
        """Doubt, when an entry has been the worker's for so long and it does not know of it: the answer to a read or a claim was lost."""
        if await self._broker.own_pending(consumer, idle_seconds, _ids(known)):
            self.in_doubt = True

    async def restore_groups(self) -> None:
        """Make the consumer groups anew that Redis has lost."""
        await self._broker.ensure_groups()

    async def _take(self, consumer: str, free: int, portions: Sequence[Portion]) -> list[Entry]:
        self._reads += 1
        entries = await self._waiting.take(consumer, free, portions, least_urgent_first=self._reads % LEAST_URGENT_FIRST_EVERY == 0)
        if len(portions) > 1:
            self._portions.took(portions, Counter(queue_of(entry.lane) for entry in entries), free)
        return entries

    async def _read_own(self, consumer: str, free: int, known: set[str]) -> list[Entry]:
        """The pending list names what was handed to us."""
        self.in_doubt = False  # from here on; who doubts meanwhile is heard by the next read
        entries = await self._broker.own_pending(consumer, 0, known)
        if len(entries) > free:
            self.in_doubt = True
        return entries[:free]

    async def _without_surplus(self, entries: list[Entry], free: int, portions: Sequence[Portion]) -> list[Entry]:
        """A blocking read may give more than asked for. No entry is held without a slot for it: another consumer may be idle."""
        if len(entries) <= free and not self._portions.limited:
            return entries
        room = {portion.queue: portion.limit for portion in portions}
        kept, surplus = list[Entry](), list[Entry]()
        for entry in entries:
            queue = queue_of(entry.lane)
            fits = len(kept) < free and room[queue] > 0
            (kept if fits else surplus).append(entry)
            room[queue] -= fits
        await self._broker.requeue(surplus)
        return kept


def _ids(entries: Iterable[Entry]) -> set[str]:
    return {entry.entry_id for entry in entries}
