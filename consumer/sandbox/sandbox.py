"""The parent's end: starts a child for each request, bounds it, hears what it says."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from shared.errors import MillstreamError, PermanentFailure

__all__ = ["Sandbox", "SandboxError", "SandboxLimitError"]

GRACE_SECONDS = 2.0  # to start, and to say what became of it
MAX_LINE_BYTES = 8 * 1024 * 1024
MEMORY_BYTES = 1024 * 1024 * 1024
_ROOT = str(Path(__file__).parents[2])  # where our packages are
# Nothing else of the environment: no passwords, no proxies. The certificates are the operator's choice.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


class SandboxError(MillstreamError):
    """The child ended without an answer."""


class SandboxLimitError(SandboxError, PermanentFailure):
    """The child needed more time or memory than it may have. It would again."""


class Sandbox:
    """Runs at most `size` children at a time, more wait. Each costs about 50 ms, and what its module imports."""

    def __init__(self, size: int = 0) -> None:
        """`size`: as many as there are processors, at least two, unless given."""
        self._slots = asyncio.Semaphore(size or max(2, os.cpu_count() or 2))

    async def run(
        self,
        module: str,
        request: Any,
        data: bytes = b"",
        *,
        seconds: float,
        memory_bytes: int = MEMORY_BYTES,
        each: Callable[[Any], Awaitable[None]] | None = None,
    ) -> list[Any]:
        """Return what `module.main(request, data)` yields, in JSON both ways; `each` hears every item as it comes.

        `seconds` bounds its processor time and, a little more generously, its whole life. Raises SandboxLimitError beyond
        a limit, SandboxError with its words when it raised, or was killed.
        """
        order = msgspec.json.encode({"request": request, "seconds": seconds, "memory_bytes": memory_bytes})
        async with self._slots:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "consumer.sandbox.child", module),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,  # a traceback may hold what nobody should read
                limit=MAX_LINE_BYTES,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the consumer, which lets jobs finish
            )
            sending = asyncio.create_task(_send(child, order + b"\n" + data))
            try:
                async with asyncio.timeout(seconds + GRACE_SECONDS):
                    return await _hear(child, each)
            except TimeoutError:
                raise SandboxLimitError(f"it took more than {seconds:g} s") from None
            finally:
                sending.cancel()
                await _end(child)


def _environment() -> dict[str, str]:
    passed_on = {name: value for name in _PASSED_ON if (value := os.environ.get(name))}
    # macOS has proxies outside the environment; and an arena for each thread would use up the memory that is reserved.
    return passed_on | {"PYTHONPATH": _ROOT, "no_proxy": "*", "MALLOC_ARENA_MAX": "2"}


async def _send(child: Process, data: bytes) -> None:
    assert child.stdin is not None  # noqa: S101 - it is a pipe
    with suppress(ConnectionError):  # how a child ended is told by the other pipe
        child.stdin.write(data)
        await child.stdin.drain()
        child.stdin.close()
        await child.stdin.wait_closed()


async def _hear(child: Process, each: Callable[[Any], Awaitable[None]] | None) -> list[Any]:
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    items: list[Any] = []
    async for line in _lines(child.stdout):
        said = msgspec.json.decode(line)
        if "done" in said:
            return items
        if "error" in said:
            raise SandboxLimitError("it needs too much memory") if said["is_memory"] else SandboxError(said["error"])
        items.append(said["item"])
        if each is not None:
            await each(said["item"])
    raise _killed(await child.wait())


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while (line := await stream.readline()).endswith(b"\n"):
            yield line
    except ValueError:
        raise SandboxLimitError("it says too much") from None


def _killed(code: int) -> SandboxError:
    if -code in {signal.SIGXCPU, signal.SIGALRM}:
        return SandboxLimitError("it took too much time")
    return SandboxError(f"it was killed by {signal.Signals(-code).name}" if code < 0 else f"it exited with code {code}")


async def _end(child: Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
    await child.wait()
