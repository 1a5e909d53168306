"""What the benchmark asks the stores: a fresh database, finished jobs by the database's clock, memory of Valkey."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import redis

DATABASE_SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "wal_level",
    "max_wal_size",
)
VALKEY_SETTINGS = ("appendonly", "appendfsync", "save", "maxmemory-policy", "io-threads")

FINISHED = """
SELECT count(*) AS count, min(started_at) AS first_claim, min(finished_at) AS first, max(finished_at) AS last
FROM jobs WHERE type = $1 AND status = 'COMPLETED'
"""


@dataclass(frozen=True)
class Finished:
    """Completed jobs of one type by the database's clock."""

    count: int
    settle_seconds: float  # from the first finished_at to the last
    whole_seconds: float  # from the first started_at to the last finished_at


class Database:
    """A PostgreSQL database, used from plain (not async) code; a connection for each call, none is kept."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fetch(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        """Run one statement."""

        async def call() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url, timeout=10)
            try:
                return await connection.fetch(sql, *values)
            finally:
                await connection.close()

        return asyncio.run(call())

    def fetch_after(self, setting: str, sql: str, *values: Any) -> list[asyncpg.Record]:
        """Run one statement in a session that has made a setting before."""

        async def call() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url, timeout=10)
            try:
                await connection.execute(setting)
                return await connection.fetch(sql, *values)
            finally:
                await connection.close()

        return asyncio.run(call())

    def recreate(self, name: str) -> "Database":
        """Drop the database `name` if there is one, create it empty, and return it."""
        self.fetch(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.fetch(f'CREATE DATABASE "{name}"')
        return Database(urlunsplit(urlsplit(self.url)._replace(path=f"/{name}")))

    def finished(self, job_type: str) -> Finished:
        """Return how many jobs of the type are COMPLETED, and how long that took."""
        (row,) = self.fetch(FINISHED, job_type)
        if not row["count"]:
            return Finished(0, 0.0, 0.0)
        return Finished(
            row["count"],
            (row["last"] - row["first"]).total_seconds(),
            (row["last"] - row["first_claim"]).total_seconds(),
        )

    def used_bytes(self) -> int:
        """Return what all tables and indexes take."""
        return int(self.fetch("SELECT pg_database_size(current_database()) AS size")[0]["size"])

    def settings(self) -> dict[str, str]:
        """Return what decides about durability and speed."""
        rows = self.fetch("SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1)", list(DATABASE_SETTINGS))
        return {row["name"]: row["value"] for row in rows}


class Valkey:
    """The Valkey (or Redis) server that all contenders share."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=10)

    def flush(self) -> None:
        """Empty every database of the server."""
        self._client.flushall()

    def queued(self, stream: str = "jobs_stream") -> int:
        """Return how many entries wait or run in the three streams of millstream."""
        return sum(self._client.xlen(f"{stream}{suffix}") for suffix in ("", ":high", ":low"))

    def used_bytes(self) -> int:
        """Return used_memory: what the data and its bookkeeping take."""
        return int(self._info("memory")["used_memory"])

    def forget_statistics(self) -> None:
        """Count commands and their times from now on."""
        self._client.config_resetstat()

    def statistics(self, section: str) -> dict[str, Any]:
        """Return a section of INFO, parsed."""
        return self._info(section)

    def settings(self) -> dict[str, str]:
        """Return what decides about durability and speed."""
        server = self._info("server")
        values = {"version": str(server.get("valkey_version") or server["redis_version"])}
        for name in VALKEY_SETTINGS:
            values.update(cast("dict[str, str]", self._client.config_get(name)))
        return {_text(name): _text(value) for name, value in values.items()}

    def _info(self, section: str) -> dict[str, Any]:
        return self._client.info(section)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
