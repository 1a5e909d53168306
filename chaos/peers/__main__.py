"""`python -m chaos.peers`: kill one of two workers in the middle of its jobs, here and with other job systems; what becomes of them."""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from urllib.parse import urlsplit, urlunsplit

from chaos.history import History
from chaos.journal import Journal
from chaos.reading import read_recording
from chaos.servers import Servers
from chaos.shape import Shape
from chaos.world import standing
from loadtest.command import FOLDER
from loadtest.errors import MeasureError
from loadtest.peers import known
from loadtest.processes import Children
from shared.embedded.process import Process

HERE = Path(__file__).parent
JOBS = 40
SLOTS = "10"  # jobs that each worker runs at a time
RUNNING = 5  # jobs that the first worker has when it is killed, at least
PATIENCE_SECONDS = 900.0
WARM_SECONDS = 60.0
POLL_SECONDS = 0.05
CONTENDERS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {  # name -> peer of the benchmark, script, environment
    "arq": ("arq", "kill_arq.py", {}),
    "taskiq": ("taskiq", "kill_taskiq.py", {}),
    "Celery": ("celery", "kill_celery.py", {}),
    "Celery with acks_late": ("celery", "kill_celery.py", {"CELERY_LATE": "1"}),
    "BullMQ": ("bullmq", "kill_bullmq.mjs", {}),
}


@dataclass(frozen=True)
class Crash:
    """What one kill came to."""

    running: int  # jobs that the killed worker had begun and not ended
    lost: int  # jobs that have not ended after PATIENCE_SECONDS; some may, later
    twice: int  # jobs that were begun more than once
    seconds: float | None  # from the kill until the last of those that were running had begun again; None: not all did


def judge(lines: Sequence[tuple[float, str, str]], killed_at: float, jobs: int) -> Crash:
    """Judge from (when, start or end, number of the job). The killed worker's jobs began before the kill and did not end soon after it."""
    ended = {number for _, what, number in lines if what == "end"}
    starts = Counter(number for _, what, number in lines if what == "start")
    before = {number for at, what, number in lines if what == "start" and at <= killed_at}
    in_time = {number for at, what, number in lines if what == "end" and at <= killed_at + 2.5}
    again = {number: at for at, what, number in reversed(lines) if what == "start" and at > killed_at}
    victims = {number for number in before if number not in in_time}
    seconds = max((again[number] - killed_at for number in victims if number in again), default=None)
    return Crash(
        running=len(victims),
        lost=jobs - len(ended),
        twice=sum(count > 1 for count in starts.values()),
        seconds=seconds if victims <= again.keys() else None,
    )


class Watch:
    """Reads a record while it grows; says when each line came."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.lines: list[tuple[float, str, str]] = []

    def look(self) -> None:
        """Read on."""
        text = self._file.read_text().splitlines() if self._file.exists() else []
        now = time.time()
        self.lines += [(now, *line.split(" ", 1)) for line in text[len(self.lines) :]]

    def wait(self, true: str, count: int, seconds: float) -> bool:
        """Wait until so many different jobs have come to `true` (start or end)."""
        until = time.monotonic() + seconds
        while len({number for _, what, number in self.lines if what == true}) < count:
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
            self.look()
        return True


def crash_peer(name: str, servers: Servers, children: Children, folder: Path) -> Crash:
    """Run the scenario with a peer."""
    peer_name, script, extra = CONTENDERS[name]
    peer = next(peer for peer in known() if peer.name == peer_name)
    home = FOLDER / "peers" / peer.name
    interpreter = peer.install(peer, home, children)[0]
    place = str(shutil.copy(HERE / script, home) if script.endswith(".mjs") else HERE / script)
    record = folder / "record"
    record.unlink(missing_ok=True)
    url = urlunsplit(urlsplit(servers.valkey.url)._replace(path="/2"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "REDIS_URL": url, "CHAOS_RECORD": str(record), **extra}
    workers: list[Process] = []
    watch = Watch(record)
    try:
        workers = [children.start(f"{peer.name}-{number}", [interpreter, place, "work"], environment) for number in (1, 2)]
        children.run(f"{peer.name}-queue", [interpreter, place, "queue", "0"], environment, timeout_seconds=WARM_SECONDS)
        _warm(watch, children, [interpreter, place, "queue", "4"], environment, peer.name)
        record.unlink()
        watch.lines.clear()
        children.run(f"{peer.name}-queue", [interpreter, place, "queue", str(JOBS)], environment, timeout_seconds=WARM_SECONDS)
        watch.wait("start", 2 * RUNNING, WARM_SECONDS)
        killed_at = time.time()
        children.kill(workers[0])
        watch.wait("end", JOBS, PATIENCE_SECONDS)
        time.sleep(POLL_SECONDS)
        watch.look()
        return judge(watch.lines, killed_at, JOBS)
    finally:
        children.kill(*workers)


def _warm(watch: Watch, children: Children, argv: Sequence[str], environment: Mapping[str, str], name: str) -> None:
    """A worker that has not come up yet would not be there to take over."""
    children.run(f"{name}-queue", argv, environment, timeout_seconds=WARM_SECONDS)
    if not watch.wait("end", 4, WARM_SECONDS):
        raise MeasureError(f"{name}: its workers did not come up")


async def crash_ours(servers: Servers, folder: Path) -> Crash:
    """Run it with millstream and its defaults."""
    settings = {"MILLSTREAM_CONCURRENCY": SLOTS}
    folder.mkdir(parents=True, exist_ok=True)
    with Journal(folder / "journal.jsonl") as journal:
        async with standing(servers, folder, journal, Random(1), shape=Shape(1, 2), settings=settings) as world:
            ids = await world.client.submit([{"type": "chaos.work", "payload": {"n": number, "seconds": 2.0}} for number in range(JOBS)])
            victim = world.members[1]

            def lines() -> list[tuple[float, str, str]]:
                history = History()
                read_recording(history, world.recording)
                runs = [run for job in ids for run in history.runs[job]]
                found = [(run.began, "start", run.job) for run in runs]
                return sorted(found + [(run.ended, "end", run.job) for run in runs if run.ended is not None])

            while sum(what == "start" for _, what, _ in lines()) < 2 * RUNNING:
                await asyncio.sleep(POLL_SECONDS)
            killed_at = time.time()
            victim.kill()
            until = time.monotonic() + PATIENCE_SECONDS
            while len({number for _, what, number in lines() if what == "end"}) < JOBS and time.monotonic() < until:
                await asyncio.sleep(POLL_SECONDS)
            return judge(lines(), killed_at, JOBS)


def table(found: Mapping[str, Sequence[Crash]]) -> str:
    """Return it in Markdown."""
    lines = [
        "| | kills | jobs of them running there | not done after 15 minutes | run twice | recovery, median | max |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, crashes in found.items():
        seconds = [crash.seconds for crash in crashes if crash.seconds is not None]
        times = f"{statistics.median(seconds):.1f} s | {max(seconds):.1f} s" if len(seconds) == len(crashes) else "not in 15 minutes |"
        sums = [sum(values) for values in zip(*((crash.running, crash.lost, crash.twice) for crash in crashes), strict=True)]
        lines.append(f"| {name} | {len(crashes)} | {sums[0]} | {sums[1]} | {sums[2]} | {times} |")
    return "\n".join([*lines, ""])


async def _measure(rounds: int, names: Sequence[str], folder: Path, output: Path) -> dict[str, list[Crash]]:
    servers = Servers(folder / "servers")
    servers.start()
    found: dict[str, list[Crash]] = {}
    try:
        with Children(output / "logs", Path.cwd()) as children:
            for number in range(rounds):
                for name in names:
                    crash = (
                        await crash_ours(servers, folder / f"ours-{number}")
                        if name == "millstream"
                        else crash_peer(name, servers, children, folder)
                    )
                    found.setdefault(name, []).append(crash)
                    print(f"{name}: {crash}", flush=True)
    finally:
        servers.stop()
    return found


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(prog="python -m chaos.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=["millstream", *CONTENDERS], metavar="NAME,...")
    parser.add_argument("--output", type=Path, default=Path(".chaos/peers"))
    told = parser.parse_args()
    told.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        found = asyncio.run(_measure(told.rounds, told.only, Path(folder), told.output))
    (told.output / "table.md").write_text(table(found))
    (told.output / "result.json").write_text(json.dumps({name: [asdict(crash) for crash in crashes] for name, crashes in found.items()}))
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
