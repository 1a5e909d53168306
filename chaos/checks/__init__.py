"""The invariants: each a function from a history to what speaks against it. Pure, so that each is tested with histories made by hand."""

from chaos.checks import callbacks, jobs, runs, speed, stores
from chaos.checks.invariant import INVARIANTS, Finding, check, judge

__all__ = ["INVARIANTS", "Finding", "callbacks", "check", "jobs", "judge", "runs", "speed", "stores"]
