"""pg-boss: the most used queue on PostgreSQL (Node.js)."""

from pathlib import Path

from loadtest.peers.install import npm
from loadtest.peers.peer import Peer

PEER = Peer(
    name="pg-boss",
    packages={"pg-boss": "12.38.0", "pg": "8.23.1", "node": "26.10.0"},
    install=npm,
    script=Path(__file__).with_name("pg_boss.mjs"),
    settings="?",
    makes_durable="?",
    drain_jobs=20_000,
    needs_setup=True,
)
