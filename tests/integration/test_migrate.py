"""Migrations find their tables again, whatever schemas there are."""

from pathlib import Path

import pytest

from shared import migrate as module
from shared.database import Database
from shared.migrate import migrate, migrations


async def test_a_second_run_finds_nothing_to_do(database: Database) -> None:
    """Also for an account called `millstream`, as the embedded one is: our schema comes before `public` in its search path."""
    assert await migrate(database) == []


async def test_a_later_migration_stands_beside_the_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the schema that happens to come first in the search path when it is applied."""
    await database.fetch("CREATE SCHEMA before")
    await database.fetch("SET search_path = before, public")
    later = migrations() | {
        "9999_later.sql": "CREATE TABLE later (id integer); CREATE FUNCTION latest() RETURNS text LANGUAGE sql AS 'SELECT 1'"
    }
    monkeypatch.setattr(module, "migrations", lambda: later)
    assert await migrate(database) == ["9999_later.sql"]
    where = await database.fetch("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname IN ('jobs', 'later', 'outbox')")
    assert {row[0] for row in where} == {"public"}
    assert await database.fetch_value("SELECT current_schema()") == "before"


async def test_everything_may_live_in_a_schema_of_its_own(database: Database) -> None:
    """The first in the search path of who migrates a database without our tables; `enqueue` then works on the tables there."""
    await database.fetch("CREATE SCHEMA own")
    await database.fetch("SET search_path = own")
    await database.fetch("DROP SCHEMA millstream CASCADE")
    await database.fetch("ALTER SCHEMA public RENAME TO old")
    assert len(await migrate(database)) == len(migrations())
    await database.fetch("INSERT INTO job_types (type, schema) VALUES ('mine', '{}')")
    await database.fetch("SET search_path = pg_catalog")
    assert await database.fetch_value("SELECT millstream.enqueue('mine')")
    assert await database.fetch_value("SELECT count(*) FROM own.outbox") == 1


def test_no_migration_has_the_number_of_another() -> None:
    """Their order is that of their names."""
    numbers = [Path(name).name[:4] for name in migrations()]
    assert numbers == sorted(set(numbers))
