"""`millstream stats`, `workers`, `types`: the whole at a glance."""

import argparse
from typing import Any

from cli import remote, show
from shared.lifecycle import Status

WORKER = ("worker", "host", "pid", "concurrency", "draining", "roles", "started_at", "heartbeat_at")


def add_to(commands: Any) -> None:
    """Add the commands to the parser."""
    remote.command(commands, "stats", stats, "counts, lag, throughput, latencies")
    remote.command(commands, "workers", workers, "live workers")
    remote.command(commands, "types", types, "job types and how many workers run them")


def stats(args: argparse.Namespace) -> int:
    """Show the numbers."""
    return remote.emit(args, remote.client(args).get("/jobs/stats"), numbers)


def workers(args: argparse.Namespace) -> int:
    """List live workers."""
    return remote.emit(
        args, remote.client(args).get("/workers"), lambda found: show.records(WORKER, found["workers"], empty="(no worker is alive)")
    )


def types(args: argparse.Namespace) -> int:
    """List job types."""
    return remote.emit(args, remote.client(args).get("/job-types"), _types)


def numbers(found: dict[str, Any]) -> str:
    """Put the statistics into tables."""
    return "\n\n".join([summary(found), by("queue", found["by_queue"]), by("type", found["by_type"])])


def summary(found: dict[str, Any]) -> str:
    """Return the counts by status and the few numbers that say how things are."""
    dispatch = found["dispatch"] or {}
    lines = [
        ("throughput", f"{found['throughput_per_second']:.2f} jobs/s over the last minute"),
        ("oldest due job", f"waits for {found['oldest_age_seconds']:.1f} s"),
        ("in Redis", f"{dispatch['lag']} unread, {dispatch['pending']} with workers, {dispatch['delayed']} delayed, {dispatch['dlq']} dead")
        if dispatch
        else ("in Redis", "away"),
        *((f"{name} time", _percentiles(found["latency_seconds"][name])) for name in ("wait", "run")),
        ("workers", f"{found['workers']} alive"),
    ]
    counts = show.table([*Status], [[found["by_status"].get(status, 0) for status in Status]])
    return "\n".join([counts, "", *(f"{name:<15} {text}" for name, text in lines)])


def by(what: str, groups: dict[str, dict[str, int]]) -> str:
    """Return the counts by status of each queue or type."""
    return show.table([what, *Status], ([name, *(counts.get(status, 0) for status in Status)] for name, counts in sorted(groups.items())))


def _percentiles(seconds: dict[str, float] | None) -> str:
    return "-" if seconds is None else ", ".join(f"{name} {value * 1000:.1f} ms" for name, value in seconds.items())


def _types(found: dict[str, Any]) -> str:
    names = ("type", "aliases", "workers", "timeout", "max_attempts")
    return show.table(
        [name.replace("_", " ") for name in names], ([(kind | kind["defaults"]).get(name) for name in names] for kind in found["types"])
    )
