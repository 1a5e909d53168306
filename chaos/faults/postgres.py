"""PostgreSQL is stopped at once, frozen, locked, filled, and its backends are ended."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

from chaos.faults.fault import Hit, MissedError, fault
from chaos.history import EVERYONE
from chaos.world import World
from shared.database import Database
from shared.errors import UnavailableError

KIND = "Postgres"
BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'millstream %' AND application_name <> 'millstream chaos'
"""
TERMINATE = "SELECT count(*) FROM unnest($1::integer[]) AS pid WHERE pg_terminate_backend(pid)"
WRITE = "SELECT pg_logical_emit_message(true, 'chaos', repeat('x', 1000000)) IS NULL"
MOST_WRITES = 400  # MB: more than all segments that PostgreSQL keeps


@fault("postgres.immediate", KIND, "postgres")
async def stopped_at_once(world: World, dice: Random) -> AsyncIterator[Hit]:
    """`pg_ctl stop -m immediate`: what was not on disk is gone, and recovery follows."""
    await world.servers.down(world.servers.postgres, signal.SIGQUIT)
    yield Hit(dice.uniform(0.2, 4), (EVERYONE,))
    await world.servers.up(world.servers.postgres)


@fault("postgres.kill", KIND, "postgres")
async def killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """SIGKILL of the server; its backends end when they notice."""
    await world.servers.down(world.servers.postgres, signal.SIGKILL)
    yield Hit(dice.uniform(0.2, 2), (EVERYONE,))
    await world.servers.up(world.servers.postgres)


@fault("postgres.freeze", KIND, "postgres")
async def frozen(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Connections stay open, nobody answers; sometimes for longer than a lease."""
    world.servers.freeze(world.servers.postgres)
    yield Hit(dice.choice([dice.uniform(0.5, 3), world.settings.lease_seconds * 1.3]), (EVERYONE,))
    world.servers.thaw(world.servers.postgres)


@fault("postgres.backends", KIND)
async def backends_ended(world: World, dice: Random) -> AsyncIterator[Hit]:
    """pg_terminate_backend for half of them, in the middle of whatever they do."""
    pids = [row[0] for row in await world.database.fetch(BACKENDS)]
    chosen = [pid for pid in pids if dice.random() < 0.5]
    if not (ended := await world.database.fetch_value(TERMINATE, chosen)):
        raise MissedError("no backend was ended")
    yield Hit(detail=f"{ended} of {len(pids)}", victims=(EVERYONE,))


@fault("postgres.backend.kill", KIND, "postgres")
async def backend_killed(world: World, dice: Random) -> AsyncIterator[Hit]:
    """SIGKILL of one backend: PostgreSQL ends all others and recovers."""
    pids = [row[0] for row in await world.database.fetch(BACKENDS)]
    if not pids:
        raise MissedError("no backend is there")
    os.kill(dice.choice(pids), signal.SIGKILL)
    yield Hit(victims=(EVERYONE,))
    await world.servers.up(world.servers.postgres)


@fault("postgres.lock", KIND, "postgres")
async def jobs_locked(world: World, dice: Random) -> AsyncIterator[Hit]:
    """Somebody holds ACCESS EXCLUSIVE on the table of jobs, as a careless migration does. Leases are kept."""
    async with _locked(world, "jobs"):
        yield Hit(dice.uniform(0.5, 6))


@fault("postgres.lock.leases", KIND)
async def leases_locked(world: World, dice: Random) -> AsyncIterator[Hit]:
    """The same of the table of leases: nobody can say that it lives; sometimes for longer than a lease."""
    async with _locked(world, "leases"):
        yield Hit(dice.choice([dice.uniform(0.5, 3), world.settings.lease_seconds * 1.3]), (EVERYONE,))


@asynccontextmanager
async def _locked(world: World, table: str) -> AsyncIterator[None]:
    rival = Database(world.database_url, "chaos rival")
    try:
        async with rival.transaction() as transaction:
            await transaction.script(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await rival.close()


@fault("postgres.disk", KIND)
async def disk_full(world: World, dice: Random) -> AsyncIterator[Hit]:
    """No room for the write-ahead log: PostgreSQL takes what fits into its last segment, refuses, or goes down."""
    disk = world.servers.disks["postgres"]
    if not disk.own:
        raise MissedError("a full disk wants the right to mount a small one")
    try:
        disk.fill()
        await _refuses(world.database)
        yield Hit(dice.uniform(1, 4), (EVERYONE,))
    finally:
        disk.clear()
    await world.servers.up(world.servers.postgres)


async def _refuses(database: Database) -> None:
    """Write until that is refused: what is left of the last segment, and of those that were made before."""
    with suppress(UnavailableError):
        for _ in range(MOST_WRITES):
            await database.fetch(WRITE)
        raise MissedError("no write was refused")
