"""The guard for a whole process, tried in a real child: every way out that Python code has."""

from pathlib import Path
from typing import Any

import pytest

from consumer.sandbox.sandbox import Sandbox
from tests.support.http_server import http_server

FORBIDDEN, DENIED, DONE = "ForbiddenAddressError", "PermissionError", "done"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def deeds(folder: Path, port: int, *allow: str) -> dict[str, Any]:
    request = {"folder": str(folder), "port": port, "allow": allow}
    return dict(await Sandbox().run("tests.support.locked", request, seconds=10))


async def test_nothing_leads_out(folder: Path) -> None:
    """No file, no process, no local socket, no address that is not public, however it is written; libraries still load."""
    async with http_server() as server:
        assert await deeds(folder, server.port) == {
            "read": DENIED,
            "read by a link": DENIED,
            "write": DENIED,
            "append to a library": DENIED,
            "remove": DENIED,
            "make a folder": DENIED,
            "run": DENIED,
            "run by a shell": DENIED,
            "fork": DENIED,
            "local socket": FORBIDDEN,
            "listen": DENIED,
            "connect": FORBIDDEN,
            "connect by name": FORBIDDEN,
            "connect without a lookup": FORBIDDEN,
            "connect and let the system look up": FORBIDDEN,
            "connect_ex": FORBIDDEN,
            "datagram": FORBIDDEN,
            "import": DONE,
            "random": DONE,
        }
        assert server.connection_count == 0
    assert names(folder) == ["link", "secret"]


async def test_what_the_operator_allows(folder: Path) -> None:
    """An allowed address can be connected to; an allowed name by its name, and not where nobody has looked it up."""
    async with http_server() as server:
        told = await deeds(folder, server.port, server.place)
        assert [told[name] for name in ("connect", "connect by name", "connect without a lookup")] == [DONE, FORBIDDEN, DONE]
        assert server.connection_count >= 2
        told = await deeds(folder, server.port, f"localhost:{server.port}")
        assert [told[name] for name in ("connect", "connect by name")] == [FORBIDDEN, DONE]
