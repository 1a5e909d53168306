"""News of jobs over Redis' publish/subscribe: which jobs came into which state, in batches.

Best effort: what is said while nobody hears it, or while Redis is away, is gone. Who has to know asks PostgreSQL as well.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from redis.exceptions import RedisError

from shared import probe
from shared.batch import Batcher
from shared.broker import Broker
from shared.log import get_log
from shared.redis_client import connect

log = get_log()

News = dict[str, list[str]]  # state: ids of jobs

PAUSE_SECONDS = 0.025  # between two messages of one process: under load a few large ones, and no delay without
MOST_PILES = 10  # of up to 500 jobs each, in one message
MOST_WAITING = 1_000  # piles; what is beyond is dropped
LINGER_SECONDS = 10.0
RETRY_SECONDS = 0.5
LOOK_SECONDS = 1.0
PING_AFTER_SECONDS = 5.0  # of silence
SILENT_SECONDS = 10.0  # not even an answer to the ping: the connection is dead
_UNREACHABLE = (RedisError, OSError, TimeoutError)

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(News).decode


class Announcer:
    """Tells what has become of jobs. Nobody waits for it, and nothing fails because of it."""

    def __init__(self, broker: Broker) -> None:
        self._client = broker.client
        self._channel = broker.keys.events
        self._piles: Batcher[tuple[str, Iterable[str]]] = Batcher(self._publish, MOST_PILES)

    def put(self, status: str, ids: Iterable[str]) -> None:
        """Tell soon that these jobs are in that state now."""
        if len(self._piles) < MOST_WAITING:
            self._piles.put((status, ids))

    async def run(self) -> None:
        """Tell until `close`, and then what is left."""
        await self._piles.run()

    def close(self) -> None:
        """End `run`."""
        self._piles.close()

    async def _publish(self, piles: list[tuple[str, Iterable[str]]]) -> None:
        news: News = defaultdict(list)
        for status, ids in piles:
            news[status] += ids
        try:
            await self._client.publish(self._channel, _encode(news))
        except _UNREACHABLE as error:
            log.debug("news_dropped", error=str(error))
        except Exception:  # it runs beside what must not end
            log.exception("news_dropped")
        await asyncio.sleep(PAUSE_SECONDS)


class Subscription:
    """One connection that hears the news, while somebody needs them: `on_news` gets each batch.

    `on_begin` is called whenever a connection begins to hear: what was said before that has been missed.
    """

    def __init__(self, url: str, channel: str, on_news: Callable[[News], None], on_begin: Callable[[], None]) -> None:
        self._client = connect(url)
        self._channel = channel
        self._on_news = on_news
        self._on_begin = on_begin
        self._needed = asyncio.Event()
        self._needed_until = 0.0

    def need(self) -> None:
        """Hear from now on, and for LINGER_SECONDS after the last call."""
        self._needed_until = time.monotonic() + LINGER_SECONDS
        self._needed.set()

    async def run(self) -> None:
        """Hear until cancelled. Connects anew when the connection breaks."""
        failing = False
        while True:
            await self._needed.wait()
            try:
                await self._hear()
                self._needed.clear()
                failing = False
                continue
            except _UNREACHABLE as error:
                if not failing:
                    log.warning("news_interrupted", error=str(error) or type(error).__name__)
            except Exception:
                log.exception("news_interrupted")
            failing = True
            await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _hear(self) -> None:
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(self._channel)
            heard_at = time.monotonic()
            while time.monotonic() < self._needed_until:
                message = await pubsub.get_message(timeout=LOOK_SECONDS)
                if message is not None:
                    heard_at = time.monotonic()
                    self._take(message)
                elif (silence := time.monotonic() - heard_at) > SILENT_SECONDS:
                    raise TimeoutError(f"Redis has said nothing for {silence:.0f} s")
                elif silence > PING_AFTER_SECONDS:
                    await pubsub.ping()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            probe.reached("hearing")
            self._on_begin()
        elif message["type"] == "message":
            try:
                news = _decode(message["data"])
            except msgspec.MsgspecError as error:
                log.warning("news_not_understood", error=str(error))
            else:
                self._on_news(news)
