"""Stacks of real processes; servers of their own for tests that break servers."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shared.database import Database
from shared.embedded import Postgres, Valkey
from shared.migrate import migrate
from shared.settings import Settings
from tests.conftest import free_port
from tests.support.stack import Stack


@pytest.fixture
async def stack(settings: Settings, tmp_path: Path) -> AsyncIterator[Stack]:
    """No process yet; those that the test starts are gone afterwards."""
    running = Stack(settings, tmp_path)
    await running.prepare()
    yield running
    await running.close()


@dataclass
class Servers:
    """Servers that a test may break."""

    postgres: Postgres
    valkey: Valkey

    def start(self) -> None:
        """Start what does not run."""
        self.postgres.start()
        self.valkey.start()

    def stop(self) -> None:
        """Stop both."""
        self.postgres.kill()
        self.valkey.kill()


@pytest.fixture(scope="module")
def servers(_own_environment: None) -> Iterator[Servers]:
    """PostgreSQL as durable as in production, and Valkey."""
    with tempfile.TemporaryDirectory(prefix="millstream-test-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another account when we are root
        pair = Servers(Postgres(Path(folder, "postgres")), Valkey(Path(folder, "valkey")))
        try:
            pair.start()
            yield pair
        finally:
            pair.stop()


@pytest.fixture
async def fragile(servers: Servers, tmp_path: Path) -> AsyncIterator[Stack]:
    """Like `stack`, on servers that the test may break; a database of its own, an empty Valkey."""
    servers.start()
    name = f"test_{token_hex(4)}"
    admin = await asyncpg.connect(servers.postgres.url)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    url = urlunsplit(urlsplit(servers.postgres.url)._replace(path=f"/{name}"))
    database = Database(url, "migrate")
    await migrate(database)
    await database.close()
    settings = Settings(database_url=url, redis_url=servers.valkey.url, port=free_port(), test_types=True)
    running = Stack(replace(settings, data_dir=tmp_path / "data", output_dir=tmp_path / "output"), tmp_path)
    await running.broker.client.flushall()
    await running.prepare()
    yield running
    await running.close()
