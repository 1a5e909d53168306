"""A profile as plain text."""

from collections.abc import Iterator
from typing import Any

from loadtest.profile.measure import Profile
from loadtest.profile.phases import Phase
from loadtest.report import table
from loadtest.rounds import number

PLACES = 3  # functions named for each stage
MOST_ROWS = 12
QUERY_CHARS = 70
LEAST_US = 0.05  # a job; statements and commands below are services that run now and then


def as_text(phase: Phase, profile: Profile) -> str:
    """Return everything that was found about one phase."""
    parts = [
        [f"{phase.name}: {phase.title}", _summary(profile)],
        _processes(profile),
        _sampled(profile),
        _stages(phase, profile),
        _places(profile),
        _postgres(profile),
        _statements(profile),
        _commands(profile),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def beside(ours: Profile, floor: Profile) -> str:
    """Return the stages of a producer next to those of its floor, in us a job."""
    names = dict.fromkeys([*floor.stages, *ours.stages])
    rows = [[stage, *(_spent(profile, stage) for profile in (ours, floor))] for stage in names]
    sums = [number(_whole(profile)) for profile in (ours, floor)]
    return "\n".join(table([["us a request", "producer", "bare echo"], *rows, ["sum", *sums]]))


def _spent(profile: Profile, stage: str) -> str:
    return number(profile.stages[stage].part * _whole(profile)) if stage in profile.stages else "-"


def _summary(profile: Profile) -> str:
    return (
        f"  {profile.jobs:,} jobs, {profile.rate:,.0f} a second; "
        f"{profile.sampled_rate:,.0f} a second while the sampler ran ({profile.samples:,} stacks)"
    )


def _sampled(profile: Profile) -> list[str]:
    """How far to trust the samples: they find the process where it could run, also while it waits for a core that others have."""
    seconds = profile.jobs / profile.sampled_rate
    used = {name.removeprefix("CPU us "): value * profile.sampled_rate / 1e6 for name, value in profile.sampled_cpu.items()}
    cores = ", ".join(f"{name} {part:.0%}" for name, part in used.items())
    return [f"  found active in {profile.samples / seconds:,.0f} stacks a second; of a core, then: {cores}"]


def _processes(profile: Profile) -> list[str]:
    used = {name.removeprefix("CPU us "): value for name, value in profile.cpu.items()}
    whole = sum(used.values())
    rows = [
        ["CPU us a job", *used, "sum", "cores busy"],
        ["", *map(number, used.values()), number(whole), f"{whole * profile.rate / 1e6:.2f}"],
    ]
    return table(rows)


def _stages(phase: Phase, profile: Profile) -> list[str]:
    whole = _whole(profile)
    rows = [[f"stages of the {phase.party}", "share", "us a job"]]
    rows += [[name, f"{share.part:.1%}", number(share.part * whole)] for name, share in profile.stages.items()]
    return table([*rows, ["sum", "100.0%", number(whole)]])


def _places(profile: Profile) -> list[str]:
    whole = _whole(profile)
    lines = []
    for name, share in profile.stages.items():
        named = [f"{place} {number(part * whole)}" for place, part in share.places[:PLACES]]
        lines.append(f"  {name}: {', '.join(named)}")
    return ["  innermost functions, us a job:", *lines]


def _whole(profile: Profile) -> float:
    """CPU time of the sampled process in us a job: the first that is listed."""
    return next(iter(profile.cpu.values()))


def _postgres(profile: Profile) -> list[str]:
    used = {name: value for name, value in profile.postgres_processes.items() if value >= LEAST_US}
    if not used:
        return []
    return [*table([["PostgreSQL processes", "us a job"], *([name, number(value)] for name, value in used.items())]), _log(profile)]


def _log(profile: Profile) -> str:
    log, jobs, syncs = profile.log, profile.jobs, max(profile.log["syncs"], 1.0)
    return (
        f"  write-ahead log: {number(log['bytes'] / jobs)} bytes a job; {log['syncs']:,.0f} syncs of {number(log['sync_us'] / syncs)} us, "
        f"one for {number(jobs / syncs)} jobs; a job: writing {number(log['write_us'] / jobs)} us, syncing {number(log['sync_us'] / jobs)}"
    )


def _statements(profile: Profile) -> list[str]:
    rows = [["statements (wall clock)", "calls", "jobs a call", "us a call", "us a job", "planning", "WAL bytes", "buffers"]]
    rows += [list(_statement(item, profile.jobs)) for item in profile.statements if item["exec_us"] / profile.jobs >= LEAST_US]
    return table(rows[: MOST_ROWS + 1]) if len(rows) > 1 else []


def _statement(item: dict[str, Any], jobs: int) -> Iterator[str]:
    yield ("" if item["toplevel"] else "  within: ") + item["query"][:QUERY_CHARS]
    yield f"{item['calls']:,}"
    yield number(jobs / item["calls"])
    yield number(item["exec_us"] / item["calls"])
    for name in ("exec_us", "plan_us", "wal_bytes", "buffers"):
        yield number(item[name] / jobs)


def _commands(profile: Profile) -> list[str]:
    rows = [["Valkey commands", "calls", "jobs a call", "us a job", "us a call", "p50", "p99"]]
    rows += [list(_command(item, profile.jobs)) for item in profile.commands if item["us"] / profile.jobs >= LEAST_US / 5]
    return table(rows) if len(rows) > 1 else []


def _command(item: dict[str, Any], jobs: int) -> Iterator[str]:
    yield item["command"]
    yield f"{item['calls']:,}"
    for value in (jobs / item["calls"], item["us"] / jobs, item["us"] / item["calls"]):
        yield number(value)
    for name in ("p50", "p99"):
        yield number(item[name]) if name in item else "-"
