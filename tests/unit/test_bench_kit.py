"""What the scripts of all peers share: verbs, paces, counts, and what workers tell."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.peers import kit
from loadtest.peers.reports import Reports

ROOT = Path(__file__).resolve().parents[2]
BULK_CALL_SECONDS = 0.4

ASYNC = f"""
import asyncio, contextlib, json, os
from loadtest.peers import kit
kit.WARMUP_SECONDS = 0.05
told = []

class Client:
    async def add(self, at):
        told.append(1)
        await asyncio.sleep(0)
    async def add_many(self, count):
        told.append(count)
        await asyncio.sleep({BULK_CALL_SECONDS} if os.environ["SLOW"] else 0)

@contextlib.asynccontextmanager
async def client():
    yield Client()
    open(os.environ["TOLD"], "w").write(json.dumps(told))

async def mark(name):
    open(os.environ["TOLD"], "w").write(json.dumps(name))

kit.run(client, lambda: mark("work"), setup=lambda: mark("setup"))
"""
BLOCKING = f"""
import contextlib, json, os, time
from loadtest.peers import kit
kit.WARMUP_SECONDS = 0.05
told = []

class Client:
    def add(self, at):
        told.append(1)
    def add_many(self, count):
        told.append(count)
        time.sleep({BULK_CALL_SECONDS} if os.environ["SLOW"] else 0)

@contextlib.contextmanager
def client():
    yield Client()
    open(os.environ["TOLD"], "w").write(json.dumps(told))

def mark(name):
    open(os.environ["TOLD"], "w").write(json.dumps(name))

kit.run_blocking(client, lambda: mark("work"), setup=lambda: mark("setup"), threads=4)
"""
NODE = f"""
import {{ writeFileSync }} from "node:fs";
import {{ setTimeout as sleep }} from "node:timers/promises";
import {{ run }} from "./kit.mjs";
const told = [];
const mark = (what) => writeFileSync(process.env.TOLD, JSON.stringify(what));
const open = async () => ({{
  add: async () => void told.push(1),
  addMany: async (count) => {{
    told.push(count);
    if (process.env.SLOW) await sleep({BULK_CALL_SECONDS} * 1000);
  }},
  close: async () => mark(told),
}});
const work = async () => {{
  mark("work");
  process.exit(0); // a reporter keeps a worker alive
}};
await run({{ open, work, setup: async () => mark("setup") }});
"""
WORKER = """
import os, time
from loadtest.peers.kit import Reporter
reporter = Reporter()

def work(jobs):
    for _ in range(jobs):
        reporter.started(time.time() - 0.25)
        reporter.settled()
    reporter.flush()

work(3)
for jobs in (200, 400):
    if not os.fork():
        reporter.started(0)  # a job that nobody has timed
        work(jobs)
        os._exit(0)
    os.wait()
"""


class Script:
    """A peer's script in a folder of its own."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._folder = folder
        source, name = {"async": (ASYNC, "peer.py"), "blocking": (BLOCKING, "peer.py"), "node": (NODE, "peer.mjs")}[kind]
        (folder / name).write_text(source)
        shutil.copy(ROOT / "loadtest" / "peers" / "kit.mjs", folder)
        self._command = ["node" if kind == "node" else sys.executable, str(folder / name)]

    def run(self, *words: object, slow: bool = False) -> tuple[str, object]:
        """Run a verb; return what it has printed, and what the client was asked for."""
        told = self._folder / "told.json"
        env = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_REPORT": str(self._folder / "report"), "TOLD": str(told), "SLOW": "1" * slow}
        argv = [*self._command, *map(str, words)]
        done = subprocess.run(argv, env=env, check=True, capture_output=True, text=True, timeout=30)
        return done.stdout, json.loads(told.read_text())


@pytest.fixture(params=["async", "blocking", "node"])
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Script:
    if request.param == "node" and shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    return Script(request.param, tmp_path)


@pytest.mark.parametrize("verb", ["setup", "work"])
def test_setup_and_work_are_the_peers_own(script: Script, verb: str) -> None:
    """No client is opened for them, and nothing is printed."""
    assert script.run(verb) == ("", verb)


def test_fill_queues_exactly_so_many(script: Script) -> None:
    """In bulk calls, the last of which is the rest."""
    printed, told = script.run("fill", 1203)
    assert printed == ""
    assert isinstance(told, list)
    assert sorted(told) == [203, 500, 500]


def test_submit_tells_the_rate_of_single_jobs(script: Script) -> None:
    """Not more than were queued, though the warm-up is not counted."""
    printed, told = script.run("submit", 0.2)
    assert isinstance(told, list)
    assert set(told) == {1}
    assert 0 < json.loads(printed)["rate"] * 0.2 < len(told)


def test_a_bulk_call_longer_than_the_measurement_counts_by_its_share(script: Script) -> None:
    """Four at a time: of whole calls, none would have ended within."""
    printed, told = script.run("bulk", 0.2, slow=True)
    assert isinstance(told, list)
    assert set(told) == {500}
    assert 0 < json.loads(printed)["rate"] <= 4 * 500 / BULK_CALL_SECONDS * 1.05


def test_pace_queues_all_of_them(script: Script) -> None:
    """Rate times seconds, one by one."""
    assert script.run("pace", 200, 0.1) == ("", [1] * 20)


def test_a_job_carries_when_it_was_due_however_late_it_is_called() -> None:
    """A client that stops the generator does not make the waits shorter that are measured."""
    rate = 100
    ats: list[float] = []

    class Stalling:
        async def add(self, at: float) -> None:
            ats.append(at)
            if len(ats) == 5:
                time.sleep(0.1)  # noqa: ASYNC251 - stops the loop, as a slow client would

        async def add_many(self, count: int) -> None:
            pytest.fail(f"{count} at once, where each comes at its time")

    asyncio.run(kit._pace(Stalling(), rate, 0.2))
    begins = [at - number / rate for number, at in enumerate(ats)]
    assert len(ats) == 20
    assert max(begins) - min(begins) < kit.LATE_SECONDS + 0.001


def test_a_call_counts_with_its_share_of_the_counted_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm-up from 0 s to 1 s, counted from 1 s to 3 s."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(kit, "WARMUP_SECONDS", 1.0)
    tally = kit._Tally(500, 2.0)
    for since, until in [(0.0, 0.9), (0.5, 1.5), (1.5, 2.5), (2.5, 4.5), (0.0, 8.0), (3.5, 4.0)]:
        tally.done(since, until)
    assert tally.result() == {"rate": (0.5 + 1 + 0.25 + 0.25) * 500 / 2.0}
    clock[0] = 3.0
    assert not tally.is_over()
    clock[0] = 3.1
    assert tally.is_over()


def test_workers_and_what_they_fork_tell_for_themselves(tmp_path: Path) -> None:
    """A child begins at zero; of its many waits none is lost."""
    file = tmp_path / "report"
    reports = Reports(file)
    assert reports.read() == 0
    begin = time.time()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_REPORT": str(file)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", WORKER], env=env, check=True, capture_output=True, timeout=30)
    assert reports.read() == 603
    assert begin <= reports.first <= reports.last <= time.time()
    assert len(reports.waits) == 603
    assert all(0.25 <= wait < 30 for wait in reports.waits)


def test_the_last_line_of_a_process_wins_and_half_a_line_waits(tmp_path: Path) -> None:
    """Counts are totals, waits are added up; the file is read while others write."""
    file = tmp_path / "report"
    lines = [{"pid": 1, "count": count, "first": 5.0, "last": 5.0 + count, "waits": [0.1]} for count in (1, 2)]
    whole = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    reports = Reports(file)
    file.write_bytes(whole[:-3])
    assert reports.read() == 1
    file.write_bytes(whole)
    assert (reports.read(), reports.first, reports.last, reports.waits) == (2, 5.0, 7.0, [0.1, 0.1])
