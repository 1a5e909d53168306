"""awa: a queue on PostgreSQL in Rust, by its Python bindings."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="awa",
    packages={"awa-pg": "0.6.9", "uvloop": "0.23.0"},
    install=venv,
    script=Path(__file__).with_name("awa_script.py"),
    settings="?",
    makes_durable="?",
    drain_jobs=10_000,
    needs_setup=True,
)
