"""`python -m loadtest`: what it prints and how it ends."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.__main__ import main
from loadtest.processes import Children
from shared.embedded.folder import free_port


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[str]:
    """Serve the bare floor from a process of its own; its base URL."""
    port = free_port()
    with Children(tmp_path / "logs", Path(__file__).parents[2]) as children:
        server = children.start("echo", [sys.executable, "-m", "loadtest.echo", str(port)], os.environ)
        children.wait_listening(server, port)
        yield f"http://127.0.0.1:{port}"


def test_it_says_how_fast_jobs_were_accepted(echo: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence."""
    assert main([f"{echo}/jobs", "--seconds", "0.2", "--connections", "2"]) == 0
    assert " accepted, " in capsys.readouterr().out


def test_refused_jobs_are_a_failure(echo: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the first answer, so that one sees why."""
    assert main([f"{echo}/nowhere", "--seconds", "0.1", "--connections", "2"]) == 1
    assert "not accepted; the first: 404" in capsys.readouterr().out


def test_nobody_there_is_unavailable(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 69, and where it tried."""
    assert main([f"http://127.0.0.1:{free_port()}/jobs"]) == 69
    assert "nobody answers at 127.0.0.1" in capsys.readouterr().err
