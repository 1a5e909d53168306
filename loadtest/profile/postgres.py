"""What PostgreSQL did for a number of jobs: by statement, by process, and in the write-ahead log."""

from collections.abc import Sequence
from typing import Any

import psutil

from loadtest.stats import Sample
from loadtest.stores import Database

PREPARE = (
    "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
    "ALTER SYSTEM SET track_wal_io_timing = on",
    "ALTER SYSTEM SET track_io_timing = on",
    "ALTER SYSTEM SET pg_stat_statements.track_planning = on",
    "ALTER SYSTEM SET pg_stat_statements.track = 'all'",  # what triggers do, too
    "SELECT pg_reload_conf()",
)
BACKENDS = """
SELECT pid, CASE WHEN backend_type = 'client backend' THEN application_name ELSE backend_type END AS name
FROM pg_stat_activity WHERE pid <> pg_backend_pid()
"""
STATEMENTS = """
SELECT regexp_replace(left(query, 300), '\\s+', ' ', 'g') AS query, calls, rows, total_exec_time * 1000 AS exec_us,
       total_plan_time * 1000 AS plan_us, wal_bytes::double precision AS wal_bytes, shared_blks_hit + shared_blks_read AS buffers,
       shared_blks_dirtied AS dirtied, toplevel
FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
WHERE datname = current_database() AND query NOT LIKE ALL ($1) ORDER BY total_exec_time DESC
"""
OWN = ["%pg_stat_%", "%first_claim%"]  # what the measuring itself asks
LOG = """
SELECT sum(writes)::double precision AS writes, sum(write_time) * 1000 AS write_us, sum(fsyncs)::double precision AS syncs,
       sum(fsync_time) * 1000 AS sync_us, (SELECT wal_bytes::double precision FROM pg_stat_wal) AS bytes
FROM pg_stat_io WHERE object = 'wal'
"""


def prepare(database: Database) -> None:
    """Have the server count what is counted here."""
    for statement in PREPARE:
        database.fetch(statement)


class PostgresWatch:
    """Counts from its creation on. Processes that end meanwhile are not among those whose CPU time is told."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.fetch("SELECT pg_stat_statements_reset()")
        database.fetch("SELECT pg_stat_reset_shared('io'), pg_stat_reset_shared('wal')")
        self._before = _cpu_seconds(list(self._backends()))

    def processes(self, count: int) -> Sample:
        """Return the CPU time of each kind of server process in us a job."""
        names = self._backends()
        used: Sample = {}
        for pid, seconds in _cpu_seconds(list(names)).items():
            used[names[pid]] = used.get(names[pid], 0.0) + (seconds - self._before.get(pid, 0.0)) / count * 1e6
        return dict(sorted(used.items(), key=lambda pair: -pair[1]))

    def statements(self) -> list[dict[str, Any]]:
        """Return each statement with its counts and times (us) in all, the most expensive first."""
        return [dict(row) for row in self._database.fetch(STATEMENTS, OWN)]

    def log(self) -> dict[str, float]:
        """Return writes, syncs, their times (us) and the bytes of the write-ahead log; 0 where the server does not tell."""
        (row,) = self._database.fetch(LOG)
        return {name: float(value or 0.0) for name, value in row.items()}

    def _backends(self) -> dict[int, str]:
        return {row["pid"]: row["name"] for row in self._database.fetch(BACKENDS)}


def _cpu_seconds(pids: Sequence[int]) -> dict[int, float]:
    found = {}
    for process in (psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)):
        times = process.cpu_times()
        found[process.pid] = times.user + times.system
    return found
