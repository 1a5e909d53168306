"""Faults, by real means: each is a context that breaks something and, when it is left, has mended it.

Importing this package registers all of them in `FAULTS`.
"""

from chaos.faults import clocks, jobs, network, postgres, processes, redis, upgrade
from chaos.faults.fault import FAULTS, Fault, Hit, MissedError

__all__ = ["FAULTS", "Fault", "Hit", "MissedError", "clocks", "jobs", "network", "postgres", "processes", "redis", "upgrade"]
