"""Leases in PostgreSQL: who is alive (shared/sql/leases.sql)."""

import os
from collections.abc import Sequence

from shared.database import Database
from shared.ids import new_id
from shared.models import Lease
from shared.queries import load
from shared.settings import Settings, host_name

SQL = load("leases")


class LeaseStore:
    """Opens, keeps and ends leases over one connection. Raises what `Database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, settings: Settings, roles: Sequence[str], types: Sequence[str]) -> Lease:
        """Begin a lease for this process, under a consumer name that was never used before."""
        lease_id = new_id()
        lease = Lease(lease_id, f"{host_name()}:{os.getpid()}:{lease_id[-8:]}")
        facts = (
            lease.id,
            lease.worker,
            host_name(),
            os.getpid(),
            roles,
            types,
            settings.concurrency,
            settings.lease_seconds,
            [name for name, _ in settings.queues],
        )
        await self._database.fetch(SQL["open_lease"], *facts)
        return lease

    async def beat(self, lease: Lease, *, draining: bool) -> bool:
        """Say that we live. False: we were declared dead, and whatever we held may have a new owner."""
        return bool(await self._database.fetch(SQL["beat"], lease.id, draining))

    async def close(self, lease: Lease) -> None:
        """End a lease whose jobs were all settled or handed back."""
        await self._database.fetch(SQL["close_lease"], lease.id)

    async def declare_dead(self) -> list[str]:
        """Fence every worker that was silent for its lease time; return their names."""
        return [row[0] for row in await self._database.fetch(SQL["declare_dead"])]

    async def any_died(self, seconds: float) -> bool:
        """Whether a lease ended in the last `seconds`."""
        return bool(await self._database.fetch_value(SQL["any_died"], seconds))

    async def live_workers(self) -> set[str]:
        """Names of the workers whose leases hold."""
        return {row[0] for row in await self._database.fetch(SQL["live_workers"])}

    async def lives_on(self, host: str) -> bool:
        """Whether a worker on that host has been heard of within its lease time."""
        return bool(await self._database.fetch_value(SQL["lives_on"], host))

    async def forget_dead(self) -> None:
        """Delete leases that ended long ago."""
        await self._database.fetch(SQL["forget_dead"])
