"""Real servers for every test: one database each, made from a migrated template, and one key prefix each."""

import asyncio
import itertools
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from shared.broker import Broker
from shared.database import Database, Databases
from shared.dispatch_store import DispatchStore
from shared.effect_store import EffectStore
from shared.job_store import JobStore
from shared.job_views import JobViews
from shared.keys import Keys
from shared.lease_store import LeaseStore
from shared.migrate import migrate
from shared.settings import Settings
from tests.support.backend import Backend, chosen
from tests.support.consumer import stage

__all__ = ["stage"]  # fixtures that live elsewhere

RUN = secrets.token_hex(3)
_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> None:
    """What the caller's shell happens to hold must not change a test."""
    for name in [name for name in os.environ if name.startswith("MILLSTREAM_") and not name.startswith("MILLSTREAM_TEST_BACKEND")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def backend(_own_environment: None) -> Iterator[Backend]:
    """Servers for the whole run."""
    with chosen() as servers:
        yield servers


@pytest.fixture(scope="session")
def template(backend: Backend) -> Iterator[str]:
    """A migrated database that every test's own is a copy of."""
    name = f"millstream_template_{RUN}"
    asyncio.run(_admin(backend, f"CREATE DATABASE {name}"))
    asyncio.run(_migrate(backend.database(name)))
    yield name
    asyncio.run(_admin(backend, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def database_url(backend: Backend, template: str) -> Iterator[str]:
    """An empty, migrated database of this test's own."""
    name = f"millstream_test_{RUN}_{next(_numbers)}"
    asyncio.run(_admin(backend, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield backend.database(name)
    asyncio.run(_admin(backend, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def settings(backend: Backend, database_url: str, tmp_path: Path) -> Settings:
    """Settings of this test's own stack: its database, its key prefix, its port."""
    return Settings(
        database_url=database_url,
        redis_url=backend.redis_url,
        stream=f"test_{RUN}_{next(_numbers)}",
        port=free_port(),
        data_dir=tmp_path / "data",
        output_dir=tmp_path / "output",
        test_types=True,
    )


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """One connection."""
    connection = Database(settings.database_url, "test")
    yield connection
    await connection.close()


@pytest.fixture
def jobs(database: Database) -> JobStore:
    """The moves."""
    return JobStore(database)


@pytest.fixture
def leases(database: Database) -> LeaseStore:
    """The leases."""
    return LeaseStore(database)


@pytest.fixture
def dispatch(database: Database) -> DispatchStore:
    """What Redis should hold."""
    return DispatchStore(database)


@pytest.fixture
async def views(settings: Settings) -> AsyncIterator[JobViews]:
    """What people ask."""
    databases = Databases(settings.database_url, "test", 2)
    yield JobViews(databases)
    await databases.close()


@pytest.fixture
async def effect_store(settings: Settings) -> AsyncIterator[EffectStore]:
    """What handlers leave with their jobs."""
    databases = Databases(settings.database_url, "test", 2)
    yield EffectStore(databases)
    await databases.close()


@pytest.fixture
async def broker(settings: Settings) -> AsyncIterator[Broker]:
    """The streams, with their groups; all keys are gone afterwards."""
    keys = Keys(settings.stream)
    connection = Broker(settings.redis_url, keys, settings.group)
    await connection.ensure_groups()
    yield connection
    left = [key async for key in connection.client.scan_iter(f"{settings.stream}*")]
    if left:
        await connection.client.delete(*left)
    await connection.close()


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _admin(backend: Backend, statement: str) -> None:
    connection = await asyncpg.connect(backend.database_url)
    await connection.execute(statement)
    await connection.close()


async def _migrate(url: str) -> None:
    database = Database(url, "migrate")
    await migrate(database)
    await database.close()
