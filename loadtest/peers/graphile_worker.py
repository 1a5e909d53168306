"""graphile-worker: the fastest known queue on PostgreSQL (Node.js)."""

from pathlib import Path

from loadtest.peers.install import npm
from loadtest.peers.peer import Peer

PEER = Peer(
    name="graphile-worker",
    packages={"graphile-worker": "0.18.0", "pg": "8.23.1", "node": "26.10.0"},
    install=npm,
    script=Path(__file__).with_name("graphile_worker.mjs"),
    settings="?",
    makes_durable="?",
    drain_jobs=60_000,
    needs_setup=True,
)
