"""What the processes of a chaos run are told: by the suite, by the user, by nobody."""

from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.environment import OWN
from chaos.errors import ChaosError
from chaos.journal import Journal
from chaos.servers import until
from chaos.shape import Shape
from chaos.world import STORES, World, standing
from shared.errors import DatabaseUnavailableError
from shared.settings import Settings, load


def unbuilt(folder: Path, **settings: str) -> World:
    """One whose proxies lead to ports of this machine."""
    servers: Any = SimpleNamespace(folder=folder)
    journal: Any = None
    made = World(servers, folder, journal, Random(1), settings)
    wires: Any = {("consumer-1", store): SimpleNamespace(url=f"{store}://127.0.0.1:2") for store in STORES}
    made.wires = wires
    made.hook_url = "http://127.0.0.1:3/hook"
    return made


def test_what_is_the_suites_own_is_not_for_others(tmp_path: Path) -> None:
    """A URL that leads elsewhere would let faults strike there."""
    own = unbuilt(tmp_path)._own("consumer-1", [])
    told = unbuilt(tmp_path, **dict.fromkeys(OWN, "elsewhere"))._environment("consumer-1", [])
    assert {*own} == {*OWN}
    assert "elsewhere" not in told.values()
    assert told["DATABASE_URL"] == "postgres://127.0.0.1:2"


def test_the_receiver_of_webhooks_stays_allowed(tmp_path: Path) -> None:
    """Whatever else the user's handlers may reach."""
    told = unbuilt(tmp_path, MILLSTREAM_OUTGOING_ALLOW="10.0.0.0/8")._environment("consumer-1", [])
    assert told["MILLSTREAM_OUTGOING_ALLOW"] == "127.0.0.1:3,10.0.0.0/8"


def test_the_users_handlers_have_the_limits_of_the_product(tmp_path: Path) -> None:
    """Our own jobs are short; others may take what a job may. Both can be told otherwise."""

    def limits(*handlers: str, **settings: str) -> tuple[float, float, int]:
        found = load(unbuilt(tmp_path, **settings)._environment("consumer-1", handlers))
        return found.job_timeout_seconds, found.grace_seconds, found.concurrency

    product = Settings()
    assert limits() == (20.0, 5.0, 50)
    assert limits("shop.jobs") == (product.job_timeout_seconds, product.grace_seconds, product.concurrency)
    assert limits("shop.jobs", MILLSTREAM_GRACE_SECONDS="3")[1] == 3.0


async def never() -> bool:
    """Wait for this in vain."""
    return False


async def absent() -> bool:
    """No store is there."""
    raise DatabaseUnavailableError("PostgreSQL is unavailable")


@pytest.mark.parametrize(
    ("ready", "said"),
    [
        (never, "the service did not come up within 0.1 s: the service is ready"),
        (absent, "the service did not come up: PostgreSQL is unavailable"),
    ],
)
async def test_a_service_that_does_not_come_up_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ready: Any, said: str
) -> None:
    """It is not the fault of a fault."""

    async def build(*_: object) -> None:
        await until(ready, 0.1, "the service is ready")

    monkeypatch.setattr(World, "build", build)
    servers: Any = SimpleNamespace(folder=tmp_path)
    with Journal(tmp_path / "journal") as journal:
        world = standing(servers, tmp_path, journal, Random(1), shape=Shape())
        with pytest.raises(ChaosError, match=f"^{said}$"):
            await world.__aenter__()
