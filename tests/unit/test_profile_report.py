"""The profiler's tables and its command line."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.profile.measure import Profile
from loadtest.profile.options import parse
from loadtest.profile.phases import PHASES
from loadtest.profile.report import as_text, beside
from loadtest.profile.stages import UNKNOWN, Share

STATEMENT = {
    "query": "UPDATE jobs SET",
    "calls": 4,
    "rows": 1200,
    "exec_us": 12_000.0,
    "plan_us": 12.0,
    "wal_bytes": 372_000.0,
    "buffers": 9600,
}
PROFILE = Profile(
    jobs=1200,
    rate=30_000.0,
    sampled_rate=24_000.0,
    sampled_cpu={"CPU us consumer": 20.0, "CPU us sampler": 5.0},
    samples=25,
    cpu={"CPU us consumer": 16.0, "CPU us PostgreSQL": 20.0},
    stages={
        "settle": Share(0.75, [("Settler._settle (consumer/settler.py)", 0.5), ("f (x.py)", 0.25)]),
        UNKNOWN: Share(0.25, [("g (y.py)", 0.25)]),
    },
    postgres_processes={"millstream settle": 11.5, "checkpointer": 0.001},
    statements=[STATEMENT | {"toplevel": True}, STATEMENT | {"query": "INSERT INTO job_counts", "toplevel": False}],
    log={"bytes": 720_000.0, "syncs": 4.0, "sync_us": 8_000.0, "write_us": 600.0},
    commands=[{"command": "evalsha", "calls": 4, "us": 6_000, "p50": 900.0, "p99": 2000.0}, {"command": "xlen", "calls": 1, "us": 1}],
)


def test_stages_add_up_to_the_process() -> None:
    """Shares of samples become microseconds of what the process took without a sampler, unknown ones too."""
    rows = [line.split() for line in as_text(PHASES["drain"], PROFILE).splitlines()]
    assert ["settle", "75.0%", "12"] in rows
    assert ["unknown", "25.0%", "4"] in rows
    assert ["sum", "100.0%", "16"] in rows
    assert ["16", "20", "36", "1.08"] in rows


def test_a_producer_stands_beside_its_floor() -> None:
    """Stage by stage; what one of them does not have is a dash."""
    floor = replace(PROFILE, cpu={"CPU us echo": 8.0}, stages={"HTTP: parse": Share(1.0, [])})
    rows = [line.split() for line in beside(PROFILE, floor).splitlines()]
    assert ["HTTP:", "parse", "-", "8"] in rows
    assert ["settle", "12", "-"] in rows
    assert ["sum", "16", "8"] in rows


def test_servers_are_told_by_the_job() -> None:
    """Statements, those within triggers marked; the log; commands; what is next to nothing is left out."""
    text = as_text(PHASES["drain"], PROFILE)
    rows = [line.split() for line in text.splitlines()]
    assert ["UPDATE", "jobs", "SET", "4", "300", "3,000", "10", "0.01", "310", "8"] in rows
    assert "within: INSERT INTO job_counts" in text
    assert "600 bytes a job; 4 syncs of 2,000 us, one for 300 jobs" in text
    assert ["evalsha", "4", "300", "5", "1,500", "900", "2,000"] in rows
    assert "checkpointer" not in text
    assert "xlen" not in text


def test_how_much_the_sampler_disturbed_is_told() -> None:
    """The rate without and with it, and of a core what the process used while it was found active so often."""
    text = as_text(PHASES["drain"], PROFILE)
    assert "30,000 a second; 24,000 a second while the sampler ran (25 stacks)" in text
    assert "found active in 500 stacks a second; of a core, then: consumer 48%, sampler 12%" in text


def test_the_command_line() -> None:
    """Phases, amounts and settings; nonsense is refused with a sentence."""
    options = parse(["--only", "drain,submit", "--jobs", "5000", "--rate", "100", "--env", "MILLSTREAM_CONCURRENCY=100"], Path("p.json"))
    assert [phase.name for phase in options.phases] == ["drain", "submit"]
    assert (options.sizes.drain_jobs, options.rate, options.settings) == (5000, 100, {"MILLSTREAM_CONCURRENCY": "100"})
    assert [phase.name for phase in parse([], Path("p.json")).phases] == list(PHASES)
    for wrong in (["--only", "sleep"], ["--env", "PATH=/"]):
        with pytest.raises(SystemExit):
            parse(wrong, Path("p.json"))
