"""Brings a database to the newest schema: every file of shared/sql/migrations once, in order, each in a transaction of its own."""

from importlib.resources import files

from shared.database import Database
from shared.errors import MillstreamError

_LOCK = 6_075_131  # an arbitrary number of our own, held for one transaction at a time

# Everything is made in the schema that has our first table. The first of the search path may be another one: an account called
# `millstream` has the schema `millstream`, once that is there, before `public`.
_TABLE = """
DO $$
BEGIN
    IF to_regclass('schema_migrations') IS NULL THEN
        CREATE TABLE schema_migrations (
            name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
        );
    END IF;
    PERFORM set_config('search_path', quote_ident(nspname), true) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = to_regclass('schema_migrations');
END $$"""


def migrations() -> dict[str, str]:
    """Return the text of every migration by its file name, in order."""
    folder = files("shared") / "sql" / "migrations"
    return {item.name: item.read_text(encoding="utf-8") for item in sorted(folder.iterdir(), key=lambda item: item.name)}


async def migrate(database: Database) -> list[str]:
    """Apply what is missing and return its names. Safe to run from many places at once.

    Raises MillstreamError when an applied migration was changed afterwards, or the database is newer than this program.
    """
    applied = []
    for name, text in migrations().items():
        async with database.transaction() as transaction:
            await transaction.fetch("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await transaction.script(_TABLE)
            known = {row["name"]: row["checksum"] for row in await transaction.fetch("SELECT name, checksum FROM schema_migrations")}
            _refuse_strangers(known)
            if name not in known:
                await transaction.script(text)
                await transaction.fetch("INSERT INTO schema_migrations (name, checksum) VALUES ($1, md5($2))", name, text)
                applied.append(name)
            elif known[name] != (await transaction.fetch("SELECT md5($1)", text))[0][0]:
                raise MillstreamError(f"migration {name} was changed after it had been applied to this database; add a new one instead")
    return applied


def _refuse_strangers(known: dict[str, str]) -> None:
    if strangers := sorted(known.keys() - migrations().keys()):
        raise MillstreamError(f"the database is newer than this program: it has {', '.join(strangers)}; update millstream")
