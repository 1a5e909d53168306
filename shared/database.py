"""One connection to PostgreSQL, made on demand and made anew after it broke.

One per role instead of a pool: on the hot path a pool's acquire and release (a reset round trip each) cost more than the query.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Any

import asyncpg
from asyncpg.exceptions import _base

from shared.errors import DatabaseUnavailableError

Row = asyncpg.Record
DataError = (
    _base.DataError,  # what asyncpg cannot encode; it has no public name
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.StatementTooComplexError,
)

_BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, crash recovery, cannot connect now
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.ReadOnlySQLTransactionError,  # a standby: after a failover we are still, or again, connected to the wrong server
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InternalClientError,
    asyncpg.PostgresSystemError,  # its disk fails
    asyncpg.InternalServerError,
    asyncpg.SyntaxOrAccessError,  # a table is missing, a right was taken away: no job's fault, and a person can mend it
)
_PASSING = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

# Batches go by primary key. A plan made while the table was still empty must not be a scan that lives on in a prepared statement.
DURABLE = {"synchronous_commit": "on"}  # said, not hoped for: a database may have another default
BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}


class Database:
    """A connection for one role. Calls queue up on it; each is one statement or one `transaction`.

    Raises DatabaseUnavailableError when PostgreSQL cannot be reached, breaks off or is silent for `timeout` seconds: what the statement
    did is then unknown. A statement is never cancelled half-way, the connection is dropped instead. Other errors are asyncpg's.
    """

    def __init__(self, url: str, role: str, *, timeout: float = 30.0, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._url = url
        self._timeout = timeout
        self._settings = {"application_name": f"millstream {role}", **settings}
        self._connection: asyncpg.Connection[Row] | None = None
        self._turn = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return self._turn.locked()

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """Run one statement and return its rows. A deadlock's victim is run once more."""
        async with self._session() as connection:
            try:
                return await connection.fetch(query, *args)
            except _PASSING:
                return await connection.fetch(query, *args)

    async def fetch_value(self, query: str, *args: Any) -> Any:
        """Run one statement and return the first column of its first row, None without one."""
        rows = await self.fetch(query, *args)
        return rows[0][0] if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """Several statements that take effect together or not at all."""
        async with self._session() as connection, connection.transaction():
            yield Transaction(connection)

    async def close(self) -> None:
        """Close the connection. The next call would open a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=2)
            except (*_BROKEN, asyncpg.PostgresError):
                connection.terminate()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator["asyncpg.Connection[Row]"]:
        await self._wait_for_turn()
        try:
            yield await self._connected()
        except DataError:
            raise
        except _PASSING as error:
            raise DatabaseUnavailableError(f"PostgreSQL gave up a deadlock: {error}", "try again") from error
        except BaseException as error:
            if isinstance(error, _BROKEN) or not isinstance(error, Exception):
                self._drop()
            if isinstance(error, _BROKEN):
                raise DatabaseUnavailableError(
                    f"PostgreSQL is unavailable: {str(error) or type(error).__name__}",
                    "is it running, and is DATABASE_URL right?",
                ) from error
            raise
        finally:
            self._turn.release()

    async def _wait_for_turn(self) -> None:
        """Who waits behind a call that hangs must not wait for ever, and not once more for everybody before him."""
        if not self._turn.locked():
            await self._turn.acquire()
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._turn.acquire()
        except TimeoutError:
            raise DatabaseUnavailableError(
                f"PostgreSQL is unavailable: an earlier call has been waiting for it for {self._timeout:g} s",
                "is it running, and is DATABASE_URL right?",
            ) from None

    async def _connected(self) -> "asyncpg.Connection[Row]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._url, self._timeout, self._settings)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


class Transaction:
    """The statements of one transaction."""

    def __init__(self, connection: "asyncpg.Connection[Row]") -> None:
        self._connection = connection

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """Run one statement and return its rows."""
        return await self._connection.fetch(query, *args)

    async def script(self, text: str) -> None:
        """Run several statements without arguments, such as a migration."""
        await self._connection.execute(text)


class Databases:
    """A few connections for one role. `any` takes the next in turn, `fetch` one that is free, if there is one."""

    def __init__(self, url: str, role: str, count: int, **options: Any) -> None:
        self._members: Sequence[Database] = [Database(url, role, **options) for _ in range(count)]
        self._next = 0

    def any(self) -> Database:
        """Return the connection whose turn it is."""
        self._next = (self._next + 1) % len(self._members)
        return self._members[self._next]

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """Run one statement on a connection that nobody uses; if all are busy, behind what the next in turn does."""
        free = next((member for member in self._members if not member.busy), None)
        return await (free or self.any()).fetch(query, *args)

    def transaction(self) -> AbstractAsyncContextManager["Transaction"]:
        """Several statements that take effect together or not at all, on the next connection in turn."""
        return self.any().transaction()

    async def close(self) -> None:
        """Close them all."""
        for member in self._members:
            await member.close()


async def connect(url: str, timeout: float, settings: dict[str, str]) -> "asyncpg.Connection[Row]":  # noqa: ASYNC109 - asyncpg's own word
    """Open a connection whose json columns are raw bytes both ways: nothing here parses what it only carries."""
    connection = await asyncpg.connect(url, timeout=min(timeout, 10), command_timeout=timeout, server_settings=settings)
    try:
        await connection.set_type_codec("json", schema="pg_catalog", encoder=_as_is, decoder=_as_is, format="binary")
    except BaseException:
        connection.terminate()
        raise
    return connection


def _as_is(value: bytes) -> bytes:
    return value
