"""The sandbox: real children, what they may use, how they end, and that nothing of them stays."""

import asyncio
import os
from typing import Any

import psutil
import pytest

from consumer.sandbox.sandbox import Sandbox, SandboxError, SandboxLimitError
from shared.errors import PermanentFailure

ODD = "tests.support.sandboxed"


def children() -> list[psutil.Process]:
    """Return those of our children that are sandboxes; the servers of the tests are others."""
    return [child for child in psutil.Process(os.getpid()).children() if "consumer.sandbox" in " ".join(child.cmdline())]


async def run(request: Any, data: bytes = b"", **options: Any) -> list[Any]:
    return await Sandbox().run(ODD, request, data, **{"seconds": 5, **options})


async def test_what_goes_in_and_comes_out() -> None:
    """JSON and bytes go in, every item comes out, and is heard as it comes."""
    heard: list[Any] = []

    async def hear(item: Any) -> None:
        heard.append(item)

    assert await run({"do": "echo", "é": [1, None]}, b"\0\xff\n" * 1_000_000, each=hear) == [{"do": "echo", "é": [1, None]}, 3_000_000]
    assert heard == [{"do": "echo", "é": [1, None]}, 3_000_000]


async def test_it_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither passwords nor proxies of the consumer's environment are in the child's."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/")
    monkeypatch.setenv("http_proxy", "http://proxy/")
    [names] = await run({"do": "environment"})
    assert "PATH" in names
    assert {"DATABASE_URL", "http_proxy", "HOME"}.isdisjoint(names)


@pytest.mark.parametrize("what", ["burn", "sleep", "allocate", "flood"])
async def test_too_much(what: str) -> None:
    """Time on the processor, time at all, memory and words are bounded; who exceeds them would do so again."""
    with pytest.raises(SandboxLimitError) as caught:
        await run({"do": what}, seconds=1, memory_bytes=200_000_000)
    assert isinstance(caught.value, PermanentFailure)
    assert not children()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("odd", "ValueError: it is odd"),
        ("leave", "code 3"),
        ("segfault", "SIGSEGV"),
        ("nonsense", "KeyError"),
        ("lie", "ValueError: printed"),
    ],
)
async def test_it_dies_alone(what: str, words: str) -> None:
    """What kills the child, or what it raises, is an ordinary error here, with its reason."""
    with pytest.raises(SandboxError, match=words) as caught:
        await run({"do": what})
    assert not isinstance(caught.value, PermanentFailure)


async def test_a_module_that_cannot_be_imported() -> None:
    """The error names it."""
    with pytest.raises(SandboxError, match=r"no_such_module"):
        await Sandbox().run("no_such_module", {}, seconds=5)


async def test_cancelling_kills_it() -> None:
    """A job that is cancelled or out of time leaves no child behind."""
    begun = asyncio.Event()

    async def hear(_: Any) -> None:
        begun.set()

    running = asyncio.create_task(run({"do": "sleep"}, seconds=60, each=hear))
    await asyncio.wait_for(begun.wait(), 10)
    assert children()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not children()


async def test_few_at_a_time() -> None:
    """More requests than places wait for their turn."""
    sandbox, most, now = Sandbox(2), 0, 0

    async def hear(item: Any) -> None:
        nonlocal most, now
        now += 1 if item == "begun" else -1
        most = max(most, now)

    await asyncio.gather(*(sandbox.run(ODD, {"do": "turn"}, seconds=5, each=hear) for _ in range(6)))
    assert most == 2
