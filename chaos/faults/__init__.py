"""Faults, by real means: each is a context that breaks something and, when it is left, has mended it.

Importing this package registers all of them in `FAULTS`.
"""

from chaos.faults import clocks, jobs, network, points, postgres, processes, redis, upgrade
from chaos.faults.fault import FAULTS, Fault, Hit, MissedError

AIMS = (*points.AIMS, *network.AIMS)  # what faults are counted by besides their names

__all__ = ["AIMS", "FAULTS", "Fault", "Hit", "MissedError"]
__all__ += ["clocks", "jobs", "network", "points", "postgres", "processes", "redis", "upgrade"]
