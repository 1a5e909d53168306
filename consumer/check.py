"""`python -m consumer --check`: the health check of a container. Whether a consumer on this host holds a lease that is alive."""

import asyncio
import sys

from shared.database import Database
from shared.errors import ConfigError, UnavailableError
from shared.lease_store import LeaseStore
from shared.process import EX_UNAVAILABLE, EX_USAGE, connected
from shared.settings import Settings, host_name, load

TIMEOUT_SECONDS = 5.0


def check() -> int:
    """Return the exit code: 0 alive, 1 not, 2 bad settings, 69 nobody can say because PostgreSQL does not answer."""
    try:
        if asyncio.run(is_alive(connected(load()))):
            return 0
        return _said(f"no consumer on {host_name()} holds a live lease", 1)
    except ConfigError as error:
        return _said("; ".join(error.problems), EX_USAGE)
    except UnavailableError as error:
        return _said(str(error), EX_UNAVAILABLE)


async def is_alive(settings: Settings) -> bool:
    """Ask PostgreSQL: a process that hangs may well exist, but its heartbeat does not arrive there. Raises UnavailableError."""
    database = Database(settings.database_url, "check", timeout=TIMEOUT_SECONDS)
    try:
        return await LeaseStore(database).lives_on(host_name())
    finally:
        await database.close()


def _said(sentence: str, code: int) -> int:
    print(f"millstream: {sentence}", file=sys.stderr)  # noqa: T201 - the container engine shows it
    return code
