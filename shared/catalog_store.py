"""The catalog of job types in PostgreSQL: consumers publish it, producers validate against it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from shared.catalog import TypeDescription
from shared.database import Database
from shared.models import TypeInfo
from shared.queries import load

SQL = load("views")


async def publish(database: Database, types: Sequence[TypeDescription]) -> None:
    """Make these types known to every producer; what was known of them before is replaced."""
    if types:
        encode = msgspec.json.encode
        await database.fetch(
            SQL["publish_types"],
            [kind.type for kind in types],
            [encode(kind.aliases) for kind in types],
            [encode(kind.schema) for kind in types],
            [encode(kind.defaults) for kind in types],
        )


async def known_types(database: Database) -> list[TypeInfo]:
    """Every type that was ever published."""
    decode = msgspec.json.decode
    rows = await database.fetch(SQL["types"])
    return [TypeInfo(row["type"], list(row["aliases"]), decode(row["schema"]), decode(row["defaults"])) for row in rows]


async def living_types(database: Database) -> list[dict[str, Any]]:
    """Every type that was ever published, with the number of live workers that run it."""
    raw = ("schema", "defaults")
    return [
        {name: msgspec.Raw(value) if name in raw else value for name, value in row.items()}
        for row in await database.fetch(SQL["living_types"])
    ]
