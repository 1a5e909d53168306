"""The command as people run it: processes, pipes, a terminal."""

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise

import pytest

from tests.conftest import free_port
from tests.support.command import process
from tests.support.eventually import eventually
from tests.support.running_up import clean_environment
from tests.support.stack import Stack


@pytest.fixture
def environment(stack: Stack) -> dict[str, str]:
    """What the shell of somebody on this machine holds."""
    return clean_environment() | {
        "MILLSTREAM_PORT": str(stack.settings.port),
        "DATABASE_URL": stack.settings.database_url,
        "REDIS_URL": stack.settings.redis_url,
        "MILLSTREAM_DATA_DIR": str(stack.settings.data_dir),
        "MILLSTREAM_OUTPUT_DIR": str(stack.settings.output_dir),
    }


async def test_jobs_run_while_we_wait(stack: Stack, environment: dict[str, str]) -> None:
    """A real consumer runs them: the payload comes from stdin, the exit code says how it ended."""
    await stack.up()
    good, bad = await asyncio.gather(
        process(environment, "submit", "csv.generate", "-", "--wait", "30", "--json", stdin=b'{"rows": [{"a": 1}]}'),
        process(environment, "submit", "test.fail", '{"message": "as asked"}', "--max-attempts", "1", "--wait", "30"),
    )
    assert (good.code, good.json["status"], good.json["result"]["rows"]) == (0, "COMPLETED", 1), good
    assert (bad.code, "FAILED" in bad.out, "as asked" in bad.out) == (1, True, True), bad
    dead = await process(environment, "dlq", "list", "--json")
    [job] = dead.json["jobs"]
    replayed = await process(environment, "dlq", "replay", job["id"])
    assert replayed.out == "1 of 1 replayed\n"

    async def dies_again() -> bool:
        attempts: int = (await stack.row(job["id"]))["attempts"]
        return attempts == 2

    await eventually(dies_again)


async def test_the_doctor_finds_nothing_and_everything(stack: Stack, environment: dict[str, str]) -> None:
    """With all in place no line is a failure; with nothing each names what to do, and the exit code is 1."""
    without_worker = await process(environment, "doctor", "--json")
    assert {(line["state"], line["what"]) for line in without_worker.json} >= {("warn", "workers"), ("fail", "API"), ("ok", "schema")}
    assert without_worker.code == 1
    await stack.up()
    well = await process(environment, "doctor")
    assert (well.code, "fail" in well.out, "1 alive" in well.out, "takes jobs at" in well.out) == (0, False, True, True), well
    assert stack.settings.database_url.partition("@")[0] not in well.out
    lost = environment | {
        "DATABASE_URL": f"postgresql://u:secret@127.0.0.1:{free_port()}/x",
        "REDIS_URL": f"redis://:secret@127.0.0.1:{free_port()}/0",
        "MILLSTREAM_PORT": str(free_port()),
        "MILLSTREAM_OUTPUT_DIR": "/dev/null/x",
        "MILLSTREAM_TYPO": "1",
    }
    ill = await process(lost, "doctor")
    lines = ill.out.splitlines()
    assert {line.split()[1] for line in lines if line.startswith("fail")} == {"output", "PostgreSQL", "Redis", "API"}
    assert (ill.code, "secret" in ill.out, "MILLSTREAM_TYPO" in ill.out) == (1, False, True)
    assert all(following.strip().startswith("-> ") for line, following in pairwise(lines) if line.startswith("fail"))
    bad = await process(environment | {"MILLSTREAM_CONCURRENCY": "x"}, "doctor")
    assert (bad.code, "MILLSTREAM_CONCURRENCY" in bad.out) == (1, True)


async def test_a_reader_that_leaves(stack: Stack, environment: dict[str, str]) -> None:
    """`millstream types | head -1` ends without a traceback."""
    await stack.producer()
    reading, writing = os.pipe()
    os.close(reading)
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "types", env=environment, stdout=writing, stderr=asyncio.subprocess.PIPE
    )
    os.close(writing)
    _, err = await started.communicate()
    assert b"Traceback" not in err
    assert started.returncode != 0


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Our side and the command's side of a terminal of 100 columns and 30 lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    os.set_blocking(ours, False)
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
async def test_top_is_live_and_leaves_the_terminal_as_it_was(stack: Stack, environment: dict[str, str], key: bytes) -> None:
    """It shows a job that comes in while it runs, fits the screen, and ends with q or Ctrl-C, exit code 0."""
    await stack.producer()
    with terminal() as (ours, theirs):
        before = termios.tcgetattr(theirs)
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli", "top", "--interval", "0.2",
            env=environment | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0), start_new_session=True,
        )  # fmt: skip
        screen = bytearray()

        def shows(text: bytes) -> bool:
            with suppress(BlockingIOError):
                screen.extend(os.read(ours, 100_000))
            return text in screen

        await eventually(lambda: shows(b"q ends"), within=20)
        await stack.submit(queue="brand-new")
        await eventually(lambda: shows(b"brand-new"), within=20)
        os.write(ours, key)
        assert await asyncio.wait_for(top.wait(), 20) == 0
        await eventually(lambda: shows(b"\x1b[?1049l"))
        assert termios.tcgetattr(theirs) == before
        frame = bytes(screen).split(b"\x1b[H")[-1]
        assert frame.count(b"\r\n") < 30
