"""`millstream migrate`: bring the database to the newest schema and publish the job types that come with millstream."""

import argparse
import asyncio
from typing import Any

from consumer import registry
from shared.catalog_store import publish
from shared.database import Database
from shared.migrate import migrate
from shared.process import connected
from shared.settings import Settings, load


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("migrate", help="bring the database to the newest schema")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Migrate; safe to run again and from many places at once."""
    applied = asyncio.run(_migrate(connected(load())))
    print(f"millstream: applied {', '.join(applied)}" if applied else "millstream: the database is up to date")
    return 0


async def _migrate(settings: Settings) -> list[str]:
    database = Database(settings.database_url, "migrate")
    try:
        applied = await migrate(database)
        await publish(database, registry.load(settings).describe())
    finally:
        await database.close()
    return applied
