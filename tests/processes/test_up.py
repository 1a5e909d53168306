"""`millstream up`: starts all, keeps all running, leaves nothing behind."""

import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from cli.signals import Signals
from cli.supervisor import Backoff, Kept, Supervisor
from shared.broker import Broker
from shared.database import Database
from shared.embedded.process import Process
from shared.settings import Settings
from tests.support.eventually import eventually_sync
from tests.support.folders import reachable_folder
from tests.support.running_up import RunningUp, clean_environment, command_line, gone

SLEEP = "import signal; signal.pause()"
CSV = {"type": "csv.generate", "payload": {"rows": [{"name": "Ada"}]}}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that servers can use whoever runs the tests."""
    with reachable_folder() as path:
        yield path


def kept(name: str, code: str, *words: str | Path) -> Kept:
    """A Python program to keep running."""
    process = Process([sys.executable, "-c", code, *words])
    return Kept(name, process, process.start)


def test_backoff_starts_at_nothing_doubles_and_forgets() -> None:
    """The first restart is immediate, the later ones wait longer and longer up to 10 s; 30 good seconds make it well again."""
    backoff = Backoff()
    assert [backoff.after(1) for _ in range(8)] == [0, 0.5, 1, 2, 4, 8, 10, 10]
    assert [backoff.after(30), backoff.after(1)] == [0, 0.5]


def test_a_killed_child_is_replaced_at_once() -> None:
    """SIGKILL a child: the next look finds it dead and starts another one."""
    supervisor = Supervisor(Signals())
    child = kept("child", SLEEP)
    supervisor.add([child], grace_seconds=5)
    supervisor.tend()
    first = child.part.pid
    child.part.kill()
    supervisor.tend()
    assert child.part.alive
    assert child.part.pid != first
    supervisor.stop()
    assert not child.part.alive


def test_a_child_that_always_dies_is_started_less_and_less_often() -> None:
    """A crash loop does not eat the machine: time is given here, so that the test need not wait for it."""
    child = kept("child", "raise SystemExit(1)")

    def ended() -> bool:
        return not child.part.alive

    child.tend(now=0.0)
    for now, next_start in ((1.0, 1.0), (2.0, 2.5), (3.0, 4.0), (5.0, 7.0)):
        eventually_sync(ended)
        child.tend(now)
        if next_start > now:
            assert (child.due_at, child.part.alive) == (next_start, False)
            child.tend(next_start)
    assert child.starts_count == 5
    eventually_sync(ended)


def test_a_program_that_is_missing_is_tried_again() -> None:
    """A start that fails is no reason to give up on the others: it is logged and repeated with back-off."""
    process = Process(["/no/such/program"])
    child = Kept("child", process, process.start)
    child.tend(now=0.0)
    child.tend(now=0.0)
    assert (child.starts_count, child.part.alive) == (2, False)


def test_groups_end_in_the_opposite_order(folder: Path) -> None:
    """Consumers end while the stores still run: every part notes when it was asked to end."""
    note = (
        "import pathlib, signal, sys, time\n"
        "def end(*_): pathlib.Path(sys.argv[1] + '.ended').write_text(str(time.monotonic())); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); pathlib.Path(sys.argv[1]).touch(); signal.pause()"
    )
    supervisor = Supervisor(Signals())
    names = ["store", "producer", "consumer"]
    for name in names:
        supervisor.add([kept(name, note, folder / name)], grace_seconds=10)
    supervisor.tend()
    for name in names:
        eventually_sync((folder / name).exists)
    supervisor.stop()
    ended = {name: float((folder / f"{name}.ended").read_text()) for name in names}
    assert sorted(names, key=ended.__getitem__) == ["consumer", "producer", "store"]


@pytest.mark.parametrize(("grace", "signals_count"), [(0.1, 1), (60.0, 2)], ids=["grace is over", "second signal"])
def test_a_stubborn_child_is_killed(grace: float, signals_count: int, folder: Path) -> None:
    """One that ignores SIGTERM goes when its time is up, or at once when the person has lost patience."""
    ignore = "import pathlib, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path(sys.argv[1]).touch(); signal.pause()"
    signals = Signals()
    supervisor = Supervisor(signals)
    child = kept("stubborn", ignore, folder / "started")
    supervisor.add([child], grace_seconds=grace)
    supervisor.tend()
    eventually_sync((folder / "started").exists)
    signals.count = signals_count
    began = time.monotonic()
    supervisor.stop()
    assert child.part.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 10


def test_one_kill_of_a_whole_group_is_one_wish() -> None:
    """`make` passes SIGTERM on to us, and who signals the process group reaches us as well: that must not cut the drain short."""
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (signals.count, signals.urgent) == (1, False)


def test_the_whole_stack_starts_repairs_itself_and_stops(folder: Path) -> None:
    """Up with two consumers; `env` tells where the stores are; what is killed comes back; Ctrl-C ends all, exit code 0."""
    with RunningUp(folder, "--consumers", "2", "--producers", "2") as up:
        told = subprocess.run([sys.executable, "-m", "cli", "env", "--json"], env=up.environ, capture_output=True, check=True)
        assert json.loads(told.stdout)["DATABASE_URL"] == up.facts()["database_url"]
        for words in ("-m consumer", "-m producer", "postgres -D", "valkey-server"):
            victim = up.child(words)
            victim.kill()
            eventually_sync(lambda victim=victim: gone([victim]))  # type: ignore[misc]
            assert up.child(words).pid != victim.pid
        family = up.family()
        assert len(family) >= 7
        assert up.stop(signal.SIGINT) == 0
    assert gone(family)
    assert up.facts() == {}
    assert not (up.data_dir / "stack.json").exists()


def test_nothing_survives_a_killed_supervisor_but_the_jobs(folder: Path) -> None:
    """SIGKILL cannot be caught: the kernel ends the family. A new stack starts on the same data afterwards, and knows the jobs."""
    with RunningUp(folder) as up:
        job = up.completed(up.call("/jobs", CSV)["id"])
        family = up.family()
        assert len(family) >= 5
        up.process.kill()
        up.process.wait()
        eventually_sync(lambda: gone(family), within=20)
    with RunningUp(folder) as up:
        assert up.call(f"/jobs/{job['id']}") == job


async def test_servers_that_are_named_are_used_instead(folder: Path, settings: Settings, broker: Broker, database: Database) -> None:
    """With DATABASE_URL and REDIS_URL no server is started, and jobs are kept and dispatched in those."""
    named = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "MILLSTREAM_STREAM": settings.stream}
    with RunningUp(folder, **named) as up:
        job_id = up.call("/jobs", CSV)["id"]
        assert up.completed(job_id)["result"]["rows"] == 1
        assert not [words for words in map(command_line, up.family()) if re.search("postgres -D|valkey|redis-server", words)]
        assert await broker.consumers()
    assert await database.fetch_value("SELECT status::text FROM jobs WHERE id = $1", job_id) == "COMPLETED"
    assert not {"postgres", "valkey"} & {path.name for path in up.data_dir.iterdir()}


def test_mail_goes_to_files(folder: Path) -> None:
    """The mail sink keeps a mail whole under its final name, and refuses one that is too large."""
    with RunningUp(folder) as up:
        sink = urlsplit(up.facts()["smtp_url"])
        with smtplib.SMTP(sink.hostname or "", sink.port or 0) as client:
            client.sendmail("a@example.org", ["b@example.org"], "Subject: hello\r\n\r\n.dot\r\n")
        with smtplib.SMTP(sink.hostname or "", sink.port or 0) as client, pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("a@example.org", ["b@example.org"], "x" * 78 + "\r\n" + ("y" * 78 + "\r\n") * 330_000)
        (mail,) = Path(up.facts()["mail_dir"]).iterdir()
    assert mail.suffix == ".eml"
    assert mail.read_bytes().endswith(b"X-RcptTo: b@example.org\r\nSubject: hello\r\n\r\n.dot\r\n")


def test_a_second_stack_on_the_same_folder_is_refused(folder: Path) -> None:
    """Two supervisors would fight over one set of data: the second says who is there, and the first runs on."""
    with RunningUp(folder) as up:
        code, said = refused({"MILLSTREAM_DATA_DIR": str(up.data_dir)})
        assert (code, f"process {up.process.pid}" in said) == (69, True)
        assert up.facts()


def test_a_taken_port_is_refused_even_if_it_is_shared(folder: Path) -> None:
    """Producers share their port, so a stranger who shares it too would silently get half of the requests."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        code, said = refused({"MILLSTREAM_DATA_DIR": str(folder / "data"), "MILLSTREAM_PORT": str(port)})
    assert (code, f"port {port}" in said, "MILLSTREAM_PORT=" in said) == (69, True, True)


@pytest.mark.parametrize(
    ("variables", "code", "sentence"),
    [
        ({"MILLSTREAM_DATA_DIR": "/dev/null/data"}, 69, "The data folder /dev/null/data cannot be written to"),
        ({"MILLSTREAM_OUTPUT_DIR": "/dev/null/files"}, 69, "The output folder /dev/null/files cannot be written to"),
        ({"MILLSTREAM_PORT": "many", "MILLSTREAM_CONCURRENCY": "0"}, 2, "MILLSTREAM_CONCURRENCY"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(variables: dict[str, str], code: int, sentence: str) -> None:
    """Nothing starts, nobody reads a traceback."""
    got, said = refused(variables)
    assert (got, sentence in said, "Traceback" in said) == (code, True, False)


def test_env_without_a_stack(folder: Path) -> None:
    """It says that none runs, unless the environment names stores."""
    environ = clean_environment() | {"MILLSTREAM_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "cli", "env"]
    lost = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (lost.returncode, "No stack runs" in lost.stderr) == (69, True)
    environ |= {"DATABASE_URL": "postgresql://a/b", "REDIS_URL": "redis://c/0"}
    named = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert named.stdout == "DATABASE_URL=postgresql://a/b\nREDIS_URL=redis://c/0\n"


def refused(variables: dict[str, str]) -> tuple[int, str]:
    """Run `millstream up`, which should not start; return its exit code and what it said. No child may be left."""
    before = {child.pid for child in psutil.Process().children()}  # servers of other tests have children that come and go
    done = subprocess.run(
        [sys.executable, "-m", "cli", "up"], env=clean_environment() | variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert {child.pid for child in psutil.Process().children()} == before
    return done.returncode, done.stderr
