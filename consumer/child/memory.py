"""How much memory a handler has used, and how much it may."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MIB = 1024 * 1024
MUCH = 256 * MIB  # whoever has once used so much more than in the beginning gives it back by starting anew
FIRST_VICTIM = "500"  # of 1000; whoever is below goes later


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    with suppress(OSError, StopIteration):  # not what getrusage says: that begins with the peak of the process that made us
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def offer_as_victim() -> None:
    """Where memory ends, the kernel shall kill us and not the consumer with its hundred other jobs (Linux)."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_VICTIM, encoding="ascii")


@contextmanager
def limited(mebibytes: int | None) -> Iterator[None]:
    """Allow so much more address space than there is now; beyond it allocations raise MemoryError. None: no limit. Linux only."""
    used = _address_space()
    if mebibytes is None or used is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + mebibytes * MIB
    resource.setrlimit(resource.RLIMIT_AS, (wanted if soft == resource.RLIM_INFINITY else min(wanted, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()
