"""The `millstream` command: in this process for most tests, as a process of its own where that matters."""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from cli.__main__ import run


class Done(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as a program reads it."""
        return json.loads(self.out)

    def sentence(self, code: int) -> str:
        """Return what it said on stderr, which has to be no traceback, and its exit code that."""
        assert (self.code, self.out) == (code, ""), self
        assert self.err.startswith("millstream: "), self
        assert "Traceback" not in self.err
        return self.err


class Command:
    """Runs the command line in this process, in a thread: the producer that it talks to may live in the event loop."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def __call__(self, *words: str) -> Done:
        """Run `millstream` with these words."""
        self._capsys.readouterr()
        try:
            code = await asyncio.to_thread(run, words)
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        return Done(code, *self._capsys.readouterr())


async def process(environment: Mapping[str, str], *words: str, stdin: bytes = b"") -> Done:
    """Run it as a process of its own."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *words,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(started.communicate(stdin), 60)
    return Done(started.returncode or 0, out.decode(), err.decode())
