"""What the two stores say about themselves, for `millstream doctor`."""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from redis.exceptions import RedisError

from shared.database import Database
from shared.errors import BrokerUnavailableError
from shared.migrate import migrations
from shared.queries import load
from shared.redis_client import connect

SQL = load("diagnosis")
TIMEOUT_SECONDS = 5.0
T = TypeVar("T")


class PostgresFacts(NamedTuple):
    """PostgreSQL as it is. `skew` is how many seconds its clock is ahead of ours."""

    version: str
    number: int  # as PostgreSQL counts: 150004 is 15.4
    synchronous_commit: str
    fsync: str
    standby: bool
    skew: float
    missing: list[str]  # migrations that were not applied
    unknown: list[str]  # applied ones that this program does not have
    workers: int
    draining: int
    unhandled: dict[str, int]  # jobs that wait for a worker of their type, by type


class RedisFacts(NamedTuple):
    """Redis or Valkey as it is. `skew` is how many seconds its clock is ahead of ours."""

    software: str
    version: str
    append_only: bool
    policy: str  # what it does when its memory is full
    skew: float


async def ask_postgres(url: str) -> PostgresFacts:
    """Ask PostgreSQL. Raises DatabaseUnavailableError."""
    database = Database(url, "doctor", timeout=TIMEOUT_SECONDS)
    try:
        await database.fetch("SELECT 1")  # connected: what comes next measures the clock, not the connect
        rows, skew = await _timed(lambda: database.fetch(SQL["server"]), lambda rows: _seconds(rows[0]["now"]))
        server = rows[0]
        applied = {row[0] for row in await database.fetch(SQL["applied"])} if server["prepared"] else set()
        missing, unknown = sorted(migrations().keys() - applied), sorted(applied - migrations().keys())
        alive, draining, unhandled = 0, 0, {}
        if not missing:
            [(alive, draining)] = await database.fetch(SQL["workers"])
            unhandled = {row["type"]: row["jobs"] for row in await database.fetch(SQL["unhandled"])}
    finally:
        await database.close()
    return PostgresFacts(
        server["version"],
        server["number"],
        server["synchronous_commit"],
        server["fsync"],
        server["standby"],
        skew,
        missing,
        unknown,
        alive,
        draining,
        unhandled,
    )


async def ask_redis(url: str) -> RedisFacts:
    """Ask Redis. Raises BrokerUnavailableError."""
    client = connect(url, timeout=TIMEOUT_SECONDS)
    try:
        info: dict[str, Any] = await client.info()
        _, skew = await _timed(client.time, lambda parts: parts[0] + parts[1] / 1e6)
    except (RedisError, OSError, TimeoutError) as error:
        raise BrokerUnavailableError(f"Redis is unavailable: {str(error) or type(error).__name__}") from error
    finally:
        await client.aclose()
    valkey = info.get("valkey_version")
    return RedisFacts(
        "Valkey" if valkey else "Redis",
        str(valkey or info.get("redis_version", "0")),
        bool(info.get("aof_enabled")),
        str(info.get("maxmemory_policy", "unknown")),
        skew,
    )


async def _timed(ask: Callable[[], Awaitable[T]], clock: Callable[[T], float]) -> tuple[T, float]:
    """Ask for the time; what the way there and back took counts half."""
    before = time.time()
    answer = await ask()
    return answer, clock(answer) - (before + time.time()) / 2


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
