"""A process with little memory is killed by the kernel when it takes more, and only then."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from chaos.memory import HIERARCHIES, limited

LIMIT_BYTES = 64 * 1024**2
EAT = "import sys\nprint(flush=True)\nsys.stdin.readline()\nmeal = bytearray(b'x') * int(sys.argv[1])\nsys.stdin.readline()"


async def _limit(pid: int) -> None:
    async with limited(pid, LIMIT_BYTES):
        pass


@pytest.fixture(scope="module")
def _allowed() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            asyncio.run(_limit(process.pid))
        except OSError as error:
            pytest.skip(f"wants the right to make control groups: {error}")


def _groups() -> list[str]:
    return [str(group) for hierarchy in HIERARCHIES for group in hierarchy.root.glob("millstream-chaos-*")]


@pytest.fixture
def eater(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """It stands at the table, and takes so many bytes when it is told to."""
    words = [sys.executable, "-c", EAT, str(request.param)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.usefixtures("_allowed")
@pytest.mark.parametrize(("eater", "code"), [(LIMIT_BYTES // 4, 0), (LIMIT_BYTES * 4, -signal.SIGKILL)], indirect=["eater"])
async def test_who_takes_more_than_it_may_is_killed(eater: subprocess.Popen[bytes], code: int) -> None:
    """Nothing of the limit is left afterwards."""
    async with limited(eater.pid, LIMIT_BYTES):
        await asyncio.to_thread(eater.communicate, b"\n\n", timeout=30)
    assert eater.returncode == code
    assert _groups() == []


@pytest.mark.usefixtures("_allowed")
@pytest.mark.parametrize("eater", [LIMIT_BYTES * 4], indirect=True)
async def test_afterwards_it_may_take_what_it_wants(eater: subprocess.Popen[bytes]) -> None:
    """It is back in the group that it was in."""
    async with limited(eater.pid, LIMIT_BYTES):
        pass
    await asyncio.to_thread(eater.communicate, b"\n\n", timeout=30)
    assert eater.returncode == 0
