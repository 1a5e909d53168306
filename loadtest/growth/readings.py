"""What is read again and again while a curve is measured: queue, memory, sizes on disk. Cheap, so that it disturbs little."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise

import psutil

from loadtest.errors import MeasureError
from loadtest.processes import resident_mb
from loadtest.stack import Stack
from loadtest.stats import Sample

SIZES = """
SELECT relname, CASE relkind WHEN 'i' THEN pg_relation_size(oid) ELSE pg_table_size(oid) END / 1e6::double precision AS mb
FROM pg_class WHERE relname = ANY($1)
"""
RELATIONS = ("jobs", "jobs_pkey", "jobs_open", "job_counts")
DEAD = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'jobs'"


def queue(stack: Stack) -> Sample:
    """Return a moment and what the streams hold then."""
    return {"at": time.monotonic(), "queued": float(stack.valkey.queued())}


def memory(stack: Stack) -> Sample:
    """Return the resident memory of producers, of consumers, what Valkey uses, and what PostgreSQL has beside its shared buffers."""
    return {
        "producer MB": sum(map(resident_mb, stack.producers)),
        "consumer MB": sum(map(resident_mb, stack.consumers)),
        "Redis MB": stack.valkey.used_bytes() / 1e6,
        "PostgreSQL own MB": _own_mb(_postmaster(stack)),
    }


def disk(stack: Stack, relations: Sequence[str] = RELATIONS) -> Sample:
    """Return the sizes of tables and indexes, and the dead rows among the jobs."""
    rows = {row["relname"]: float(row["mb"]) for row in stack.database.fetch(SIZES, list(relations))}
    [[dead]] = stack.database.fetch(DEAD)
    return {f"{name} MB": rows[name] for name in relations} | {"dead rows": float(dead)}


def follow(stack: Stack, read: Callable[[], Sample], is_over: Callable[[Sample], bool], *, every: float, within: float) -> list[Sample]:
    """Read every so many seconds until it is over; return all readings. Raises MeasureError when it is not `within` so many."""
    deadline = time.monotonic() + within
    readings = [read()]
    while not is_over(readings[-1]):
        for child in (*stack.producers, *stack.consumers):
            stack.children.check(child)
        if time.monotonic() > deadline:
            raise MeasureError(f"not over after {within:g} s; the last reading: {readings[-1]}")
        time.sleep(every)
        readings.append(read())
    return readings


def moment_of(readings: Sequence[Sample], left: float) -> float:
    """Return when `left` jobs were still queued, between the two readings around it. Raises ValueError when there was no such moment."""
    for before, after in pairwise(readings):
        if before["queued"] > after["queued"] and before["queued"] >= left >= after["queued"]:
            done = (before["queued"] - left) / (before["queued"] - after["queued"])
            return before["at"] + done * (after["at"] - before["at"])
    raise ValueError(f"there were never {left:g} jobs left")


def rates(readings: Sequence[Sample], parts: int) -> list[float]:
    """Return the jobs a second of each part of a drain, all parts being equally many jobs."""
    most = readings[0]["queued"]
    step = most / parts
    bounds = [most - step * part for part in range(1, parts)]
    begin = max(reading["at"] for reading in readings if reading["queued"] == most)
    moments = [begin, *(moment_of(readings, left) for left in bounds), readings[-1]["at"]]
    return [step / (end - start) for start, end in pairwise(moments)]


def _postmaster(stack: Stack) -> int:
    [[text]] = stack.database.fetch("SELECT pg_read_file('postmaster.pid')")
    return int(text.split()[0])


def _own_mb(pid: int) -> float:
    """Return what a process and its children have in memory and share with nobody."""
    parent = psutil.Process(pid)
    return sum(map(_unshared, [parent, *parent.children()])) / 1e6


def _unshared(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().uss)
    return 0
