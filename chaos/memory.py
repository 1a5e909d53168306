"""A limit to the memory of a process, by a control group of its own: whoever goes over it is killed by the kernel, as in a container.

Files and their meaning: https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from chaos.limit import GROUP
from chaos.servers import until

PROCESSES = "cgroup.procs"
LEFT_SECONDS = 10.0  # for the last of its processes to leave a group: who is just ending is not to be moved, and has not left it


class Hierarchy(NamedTuple):
    """Where control groups are, how `/proc/PID/cgroup` names this hierarchy, and the files of a group's limits."""

    root: Path
    name: str
    limits: tuple[str, str]  # of memory; of swap (v2), or of memory and swap together (v1)
    swap_counts: bool  # whether the second limit is of both


HIERARCHIES = (
    Hierarchy(Path("/sys/fs/cgroup"), "", ("memory.max", "memory.swap.max"), swap_counts=False),
    Hierarchy(Path("/sys/fs/cgroup/memory"), "memory", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), swap_counts=True),
)


@asynccontextmanager
async def limited(pid: int, size: int) -> AsyncIterator[None]:
    """Let a process take so many bytes more than it has by now. Raises OSError when this machine does not let us say so."""
    hierarchy, home = _home(pid)
    group = hierarchy.root / f"{GROUP}{pid}"
    group.mkdir()
    try:
        memory, swap = hierarchy.limits
        (group / memory).write_text(str(size))
        with suppress(OSError):  # a kernel without swap has no such file
            (group / swap).write_text(str(size if hierarchy.swap_counts else 0))
        _move(pid, group)
        yield
    finally:
        await until(lambda: _removed(group, home), LEFT_SECONDS, "nobody is in the group")


async def _removed(group: Path, home: Path) -> bool:
    """Send whoever is there home; whether the group is gone."""
    for pid in (group / PROCESSES).read_text().split():
        _move(int(pid), home)
    with suppress(OSError):
        group.rmdir()
        return True
    return False


def _home(pid: int) -> tuple[Hierarchy, Path]:
    """Return the hierarchy that limits memory here, and the group that the process is in."""
    groups = {line.split(":")[1]: line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}
    for hierarchy in reversed(HIERARCHIES):
        if hierarchy.name in groups and os.access(hierarchy.root, os.W_OK):
            return hierarchy, hierarchy.root / groups[hierarchy.name].lstrip("/")
    raise PermissionError("no control groups of memory can be made here")


def _move(pid: int, group: Path) -> None:
    with suppress(ProcessLookupError):
        (group / PROCESSES).write_text(str(pid))
