"""The records of the peers, and the Python that one of them wants."""

import sys
from pathlib import Path

import pytest

from loadtest.errors import MeasureError
from loadtest.peers import Peer, install, known
from loadtest.peers.install import _interpreter

NEWER = (3, sys.version_info.minor + 1)


@pytest.mark.parametrize("peer", known(), ids=lambda peer: peer.name)
def test_a_peer_says_what_it_is(peer: Peer) -> None:
    """Exact versions, a script that is there, and what it promises."""
    assert peer.script.is_file()
    assert peer.packages
    assert all(version[0].isdigit() for version in peer.packages.values())
    assert peer.settings
    assert peer.makes_durable
    assert 500 <= peer.drain_jobs <= 100_000


def test_no_two_peers_have_one_name() -> None:
    """They are chosen by it, and their packages lie below it."""
    names = [peer.name for peer in known()]
    assert len(set(names)) == len(names)


def program(file: Path, code: int) -> str:
    file.write_text(f"#!/bin/sh\nexit {code}\n")
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(install, "NEWEST_MINOR", NEWER[1] + 1)
    return tmp_path


def test_a_newer_python_is_taken_from_the_path(path: Path) -> None:
    """The first that runs: a shim may be there without its Python."""
    program(path / f"python3.{NEWER[1]}", 127)
    newest = program(path / f"python3.{NEWER[1] + 1}", 0)
    assert _interpreter(known()[0], NEWER) == newest


def test_ours_is_taken_when_it_is_new_enough(path: Path) -> None:
    """Whatever else is there."""
    program(path / "python3.11", 0)
    assert _interpreter(known()[0], (3, 11)) == sys.executable


@pytest.mark.usefixtures("path")
def test_without_one_the_peer_is_missing() -> None:
    """The report says why."""
    with pytest.raises(MeasureError, match=rf"wants Python 3\.{NEWER[1]} or newer"):
        _interpreter(known()[0], NEWER)
