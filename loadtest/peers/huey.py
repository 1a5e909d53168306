"""Huey: a small queue on Redis."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="huey",
    packages={"huey": "3.5.4", "redis": "8.1.0", "hiredis": "3.5.0"},
    install=venv,
    script=Path(__file__).with_name("huey_script.py"),
    settings="consumer with 8 threads, results off, blocking pop, pickle, hiredis; queued one by one by 4 threads",
    makes_durable="nothing beyond Redis: a second of queued jobs may be lost when it dies (AOF everysec); a job leaves Redis "
    "when a worker takes it and is lost when that worker dies",
    drain_jobs=9_000,
)
