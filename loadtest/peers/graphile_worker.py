"""graphile-worker: the fastest queue on PostgreSQL that we know (Node.js)."""

from pathlib import Path

from loadtest.peers.install import npm
from loadtest.peers.peer import Peer

PEER = Peer(
    name="graphile-worker",
    packages={"graphile-worker": "0.18.0", "pg": "8.23.1", "node": "26.10.0"},
    install=npm,
    script=Path(__file__).with_name("graphile_worker.mjs"),
    settings=(
        "its makers' settings for speed (concurrentJobs 24, maxPoolSize 25, completeJobBatchDelay and failJobBatchDelay 0, "
        "NO_LOG_SUCCESS), with a localQueue of 2000 instead of 500, which costs PostgreSQL a third less; addJob and addJobs over 4 "
        "connections (with 25 they are slower, since NOTIFY lets one transaction commit at a time)"
    ),
    makes_durable=(
        "a queued job is committed in PostgreSQL, a finished one is deleted by a commit soon after its handler (batched): a worker "
        "that dies leaves those and what waits in its local queue locked for four hours, then they run"
    ),
    drain_jobs=100_000,
    needs_setup=True,
)
