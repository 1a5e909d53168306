"""Children of the benchmark: none outlives it, and a failure says why."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest import processes
from loadtest.errors import MeasureError
from loadtest.processes import Children, resident_mb
from shared.embedded.folder import free_port

LISTEN = "import socket, sys, signal; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); signal.pause()"
PREFORK = """
import os
shared = b"x" * 30_000_000
ready, tell = os.pipe()
alive, hold = os.pipe()
if not os.fork():
    os.close(hold)
    own = b"y" * 20_000_000
    os.write(tell, b".")
    os._exit(len(os.read(alive, 1)))  # when its parent ends
os.read(ready, 1)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + LISTEN


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    with Children(tmp_path / "logs", tmp_path) as children:
        yield children


def python(code: str, *words: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, words)]


def test_a_server_is_up_when_it_listens_itself(children: Children) -> None:
    """Two on different ports: each is told from the other."""
    ports = free_port(), free_port()
    servers = [children.start(f"server-{port}", python(LISTEN, port), os.environ) for port in ports]
    for server, port in zip(servers, ports, strict=True):
        children.wait_listening(server, port)
        assert resident_mb(server) > 1
    with pytest.raises(MeasureError, match="does not listen"):
        children.wait_listening(servers[0], ports[1], timeout_seconds=0)


def test_the_memory_of_a_prefork_worker_is_its_children_s_too(children: Children) -> None:
    """What a child has made for itself counts; what it shares with its parent does not count twice."""
    port = free_port()
    server = children.start("prefork", python(PREFORK + LISTEN, port), os.environ)
    children.wait_listening(server, port)
    assert 50 < resident_mb(server) < 85


def test_leaving_ends_what_ignores_sigterm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL follows within bounded time."""
    monkeypatch.setattr(processes, "TERM_SECONDS", 0.1)
    port = free_port()
    with Children(tmp_path / "logs", tmp_path) as children:
        deaf = children.start("deaf", python(DEAF, port), os.environ)
        children.wait_listening(deaf, port)
    assert deaf.returncode == -signal.SIGKILL


def test_run_returns_what_was_printed(children: Children) -> None:
    """Standard input goes in, standard output comes out, standard error goes to the log."""
    code = "import sys; print('noise', file=sys.stderr); print(sys.stdin.read().upper(), end='')"
    assert children.run("upper", python(code), os.environ, data=b"abc", timeout_seconds=30) == b"ABC"


def test_a_failure_carries_the_end_of_the_log(children: Children) -> None:
    """Whoever reads the report need not look for the log."""
    with pytest.raises(MeasureError, match=r"(?s)bad: exit code 3.*no such table"):
        children.run(
            "bad",
            python("import sys; print('no such table', file=sys.stderr); sys.exit(3)"),
            os.environ,
            timeout_seconds=30,
        )


def test_what_takes_too_long_is_ended(children: Children) -> None:
    """With all that it started."""
    with pytest.raises(MeasureError, match="not done after"):
        children.run("slow", python("import signal; signal.pause()"), os.environ, timeout_seconds=0.1)


def test_a_server_that_ended_is_noticed(children: Children) -> None:
    """Nobody waits for a dead process until a time-out."""
    server = children.start("brief", python("raise SystemExit('cannot bind')"), os.environ)
    with pytest.raises(MeasureError, match=r"(?s)brief: ended with exit code 1.*cannot bind"):
        children.wait_listening(server, free_port())


def test_a_program_that_does_not_exist_is_a_failed_measurement(children: Children) -> None:
    """A missing peer is reported like any other failure."""
    with pytest.raises(MeasureError, match="nobody"):
        children.run("nobody", ["/nonexistent/program"], os.environ, timeout_seconds=1)
