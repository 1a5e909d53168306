"""Job types that write down when they run, in a file of the test's own: what the database says of a run is not what proves it.

Loaded through MILLSTREAM_HANDLERS; the file is named by RECORDING_FILE. One line an event: what, job id, attempt, pid, Unix time.
"""

import asyncio
import os
import time

import msgspec

from shared.jobs import Context, job

VARIABLE = "RECORDING_FILE"


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to take, and on how many first attempts to fail."""

    seconds: float = 0.0
    failures: int = 0


def write(what: str, ctx: Context) -> None:
    """Add a line. One write to a file opened with O_APPEND: lines of several processes never mix."""
    line = f"{what} {ctx.job_id} {ctx.attempt} {os.getpid()} {time.time():.6f}\n"
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@job("recorded")
async def recorded(ctx: Context, task: Task) -> None:
    """Note the start, take the time, fail if asked to, note the end."""
    write("start", ctx)
    await asyncio.sleep(task.seconds)
    if ctx.attempt <= task.failures:
        raise RuntimeError("failed, as asked")
    write("end", ctx)


@job("recorded.deaf")
def recorded_deaf(ctx: Context, task: Task) -> None:
    """Do the same in a thread that does not look whether it should stop."""
    write("start", ctx)
    time.sleep(task.seconds)
    write("end", ctx)


@job("recorded.blocking")
async def recorded_blocking(ctx: Context, task: Task) -> None:
    """Do the same without ever giving the loop back."""
    write("start", ctx)
    time.sleep(task.seconds)  # noqa: ASYNC251 - that is the fault
    write("end", ctx)


@job("recorded.process", executor="process")
def recorded_process(ctx: Context, task: Task) -> None:
    """Do the same in a child process."""
    write("start", ctx)
    time.sleep(task.seconds)
    write("end", ctx)
