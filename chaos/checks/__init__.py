"""The invariants: each a function from a history to what speaks against it. Pure, so that each is tested with histories made by hand."""

from chaos.checks import callbacks, due, jobs, processes, runs, speed, stores
from chaos.checks.invariant import INVARIANTS, Finding, check, judge

__all__ = ["INVARIANTS", "Finding", "callbacks", "check", "due", "jobs", "judge", "processes", "runs", "speed", "stores"]
