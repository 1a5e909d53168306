"""`python -m consumer --check`: healthy means that PostgreSQL has heard of a consumer on this host within its lease time."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from consumer.check import is_alive
from shared.database import Database
from shared.lease_store import LeaseStore
from shared.settings import Settings, variable
from tests.support.make import open_lease


async def test_a_live_lease_is_healthy(settings: Settings, leases: LeaseStore) -> None:
    """Nobody here yet: unhealthy. A lease is opened: healthy. It is closed: unhealthy again."""
    assert not await is_alive(settings)
    lease = await open_lease(leases, settings)
    assert await is_alive(settings)
    await leases.close(lease)
    assert not await is_alive(settings)


async def test_a_silent_worker_is_not_healthy(settings: Settings, leases: LeaseStore, database: Database) -> None:
    """A process that hangs is unhealthy as soon as its lease time is over, also while no reaper has declared it dead."""
    await open_lease(leases, settings)
    await database.fetch("UPDATE leases SET heartbeat_at = now() - interval '11 seconds'")
    assert not await is_alive(settings)


async def test_another_host_does_not_count(settings: Settings, leases: LeaseStore, database: Database) -> None:
    """Every container looks after itself: a lease of another one does not make this one healthy."""
    await open_lease(leases, settings)
    await database.fetch("UPDATE leases SET host = 'elsewhere'")
    assert not await is_alive(settings)


@pytest.mark.parametrize(
    ("elsewhere", "code", "said"),
    [
        ("", 1, "holds a live lease"),
        ("postgresql://127.0.0.1:1/none", 69, "PostgreSQL is unavailable"),
        ("mysql://127.0.0.1/none", 2, "must be a URL"),
    ],
)
def test_exit_codes(settings: Settings, elsewhere: str, code: int, said: str) -> None:
    """As a command it exits with a code that says which part is to blame, and with one sentence, never a traceback."""
    ended = _run_check(replace(settings, database_url=elsewhere or settings.database_url))
    assert (ended.returncode, ended.stdout) == (code, "")
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


async def test_exit_code_of_a_healthy_one(settings: Settings, leases: LeaseStore) -> None:
    """As a command it is silent and exits 0 while a consumer lives here."""
    await open_lease(leases, settings)
    ended = _run_check(settings)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def _run_check(settings: Settings) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {variable("database_url"): settings.database_url, variable("redis_url"): settings.redis_url}
    return subprocess.run(
        [sys.executable, "-m", "consumer", "--check"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
