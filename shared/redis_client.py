"""The connection to Redis: how it is made, what its errors mean, and how much goes into one call."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from shared.errors import BrokerUnavailableError
from shared.line import PlainConnection, TlsConnection

T = TypeVar("T")

CHUNK = 1000  # ids in one script call: Redis serves others in between
TIMEOUT_SECONDS = 5.0


class GroupMissingError(BrokerUnavailableError):
    """The stream or its consumer group is gone: Redis was emptied. `ensure_groups` makes them anew."""


def connect(url: str, *, timeout: float = TIMEOUT_SECONDS) -> Any:
    """Return a client that never retries by itself: redis-py's default re-sends an XADD after a time-out and so adds it twice."""
    pool: Any = ConnectionPool.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, TIMEOUT_SECONDS),
        protocol=2,
    )
    pool.connection_class = TlsConnection if issubclass(pool.connection_class, SSLConnection) else PlainConnection
    return Redis.from_pool(pool)


# The second is how Redis 7.0 ends a read that waited when its stream went; Valkey 9 says NOGROUP there, too.
_GROUP_IS_GONE = ("nogroup", "unblocked the stream key no longer exists", "no such key")


@contextmanager
def translated() -> Iterator[None]:
    """Raise the errors of redis-py as ours: BrokerUnavailableError, GroupMissingError."""
    try:
        yield
    except ResponseError as error:
        if any(sign in str(error).lower() for sign in _GROUP_IS_GONE):
            raise GroupMissingError(f"Redis lost its consumer group: {error}") from error
        raise BrokerUnavailableError(f"Redis refused: {error}") from error
    except (RedisError, OSError, TimeoutError) as error:
        raise BrokerUnavailableError(
            f"Redis is unavailable: {str(error) or type(error).__name__}", "is it running, and is REDIS_URL right?"
        ) from error


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a long list into parts of one call each."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
