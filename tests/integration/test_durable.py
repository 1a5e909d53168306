"""A 2xx and an ack mean "on disk", whatever the database's own default is."""

from consumer import registry
from consumer.runtime import Consumer
from producer.app import Producer
from shared.database import Database
from shared.settings import Settings


async def test_who_accepts_and_who_settles_waits_for_the_disk(settings: Settings, database: Database) -> None:
    """A database whose default is synchronous_commit=off: only claims and progress, which may be lost, follow it."""
    name = await database.fetch_value("SELECT current_database()")
    await database.fetch(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    producer, consumer = Producer(settings), Consumer(settings, registry.load(settings))
    connections = {"submit": producer._writer, "read": producer._readers.any(), **consumer._databases}
    connections |= {"settle": consumer._settle.any(), "effects": consumer._effects.any()}
    found = {role: await connection.fetch_value("SHOW synchronous_commit") for role, connection in connections.items()}
    for connection in connections.values():
        await connection.close()
    assert found == dict.fromkeys(connections, "on") | {"claim": "off", "progress": "off"}
