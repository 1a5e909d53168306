"""What Valkey did for a number of jobs, by command. The time of a script holds that of the commands that it calls."""

from typing import Any

from loadtest.stores import Valkey

OURS = ("config", "info", "select", "auth", "hello", "client", "xlen")  # what the measuring itself asks


def commands(valkey: Valkey) -> list[dict[str, Any]]:
    """Return each command with its calls, its time (us) and the percentiles of a call (us), the most expensive first."""
    counted = {name.removeprefix("cmdstat_"): stats for name, stats in valkey.statistics("commandstats").items()}
    latencies = {name.removeprefix("latency_percentiles_usec_"): stats for name, stats in valkey.statistics("latencystats").items()}
    rows = [
        {"command": name, "calls": stats["calls"], "us": stats["usec"], **_percentiles(latencies.get(name, {}))}
        for name, stats in counted.items()
        if name.partition("|")[0] not in OURS
    ]
    return sorted(rows, key=lambda row: -row["us"])


def _percentiles(stats: dict[str, Any]) -> dict[str, float]:
    return {name: float(stats[name]) for name in ("p50", "p99") if name in stats}
