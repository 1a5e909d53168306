"""A process's picture of the queues: which exist and which are paused. It is a second old at most while PostgreSQL answers."""

from collections.abc import Sequence

from shared.broker import Broker
from shared.keys import DEFAULT_QUEUE, lanes_of
from shared.log import get_log
from shared.queue_store import QueueStore

log = get_log()

EVERY_SECONDS = 1.0
MOST_QUEUES = 1000  # each costs every consumer three streams to look after


class Queues:
    """The queues as they were at the last `refresh`. While PostgreSQL is away they stay as they are."""

    def __init__(self, store: QueueStore, brokers: Sequence[Broker]) -> None:
        self._store = store
        self._brokers = brokers
        self._names: tuple[str, ...] = (DEFAULT_QUEUE,)
        self.open: tuple[str, ...] = self._names  # those that are not paused

    def has_room_for(self, name: str) -> bool:
        """Whether it exists already or may be made."""
        return len(self._names) < MOST_QUEUES or name in self._names

    async def refresh(self) -> None:
        """Look again; give new queues their streams."""
        queues = await self._store.all()
        names = tuple(queue.name for queue in queues)
        self.open = tuple(queue.name for queue in queues if not queue.paused)
        if names != self._names:
            self._names = names
            for broker in self._brokers:
                broker.lanes = lanes_of(names)
            log.info("queues_known", queues=names)
            await self._brokers[0].ensure_groups()
