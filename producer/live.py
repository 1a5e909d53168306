"""What clients hear of jobs without asking again: one subscription for all who wait or look on, and what this process itself announces."""

import asyncio

from producer.patience import Patience
from producer.streams import Streams
from producer.waiters import Waiters
from shared.broker import Broker
from shared.database import Databases
from shared.events import Announcer, News, Subscription
from shared.job_views import JobViews


class Live:
    """The parts, put together."""

    def __init__(self, redis_url: str, broker: Broker, databases: Databases) -> None:
        views = JobViews(databases)
        self._subscription = Subscription(redis_url, broker.keys.events, self._heard, self._began)
        self._waiters = Waiters(databases, self._subscription.need)
        self.streams = Streams(views, self._subscription.need)
        self.patience = Patience(self._waiters, views)
        self.announcer = Announcer(broker)

    async def run(self) -> None:
        """Work until cancelled. Nothing is lost then that would not be found by asking."""
        async with asyncio.TaskGroup() as tasks:
            for part in (self._subscription, self._waiters, self.streams, self.announcer):
                tasks.create_task(part.run())

    def let_go(self) -> None:
        """Answer all who wait and end all streams, now and from now on: this process ends."""
        self._waiters.close()
        self.streams.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._subscription.close()

    def _heard(self, news: News) -> None:
        self._waiters.heard(news)
        self.streams.heard(news)

    def _began(self) -> None:
        self._waiters.ask_soon()
