"""What many of these tests ask for. A producer for every test that asks for `api`: nothing in it may block the loop."""

from collections.abc import AsyncIterator, Iterator

import pytest
from blockbuster import blockbuster_ctx

from consumer import registry
from producer.app import Producer
from shared.broker import Broker
from shared.catalog_store import publish
from shared.database import Database, Transaction
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.gate import Gate
from tests.support.producer import Api, client, running


@pytest.fixture
def gate() -> Gate:
    """A closed one."""
    return Gate()


@pytest.fixture
def unblocked() -> Iterator[None]:
    """From here on a blocking call of ours in the event loop is an error; starting up may block."""
    with blockbuster_ctx(scanned_modules=["producer", "shared"]) as guard:
        for function in guard.functions.values():  # the files that libpq, too, looks for at every connect
            function.can_block_in("asyncpg/connect_utils.py", "_parse_connect_dsn_and_args")
            function.can_block_in("redis/utils.py", "get_lib_version")  # a new connection says its name
            function.can_block_in("prometheus_client/process_collector.py", "collect")  # /proc
            function.can_block_in("structlog/dev.py", "__call__")  # a traceback shows lines of files
        yield


@pytest.fixture
async def catalog(database: Database, settings: Settings) -> None:
    """The built-in types and the test types are published."""
    await publish(database, registry.load(settings).describe())


@pytest.fixture
async def producer(settings: Settings, broker: Broker, catalog: None) -> AsyncIterator[Producer]:
    """A producer with this test's settings."""
    del broker, catalog
    async with running(settings) as process:
        yield process


@pytest.fixture
async def api(producer: Producer, settings: Settings, unblocked: None) -> AsyncIterator[Api]:
    """A client of it."""
    del producer, unblocked
    async with client(settings) as connected:
        yield connected


@pytest.fixture
async def locks(stage: Stage) -> AsyncIterator[Transaction]:
    """A transaction that can hold rows; they are free again when it ends."""
    database = Database(stage.settings.database_url, "locks")
    async with database.transaction() as transaction:
        yield transaction
    await database.close()
