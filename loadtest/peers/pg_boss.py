"""pg-boss: the most used queue on PostgreSQL for Node.js."""

from pathlib import Path

from loadtest.peers.install import npm
from loadtest.peers.peer import Peer

PEER = Peer(
    name="pg-boss",
    packages={"pg-boss": "12.38.0", "pg": "8.23.1", "node": "26.10.0"},
    install=npm,
    script=Path(__file__).with_name("pg_boss.mjs"),
    settings=(
        "work with batchSize 1000 (one call of the handler for a batch, which ends as a whole), burstWhenBatchFull, localConcurrency 1 "
        "(with 2 one worker drains a third faster, two workers do not, and single jobs start later); the queue with a partition of its "
        "own and notify, which starts single jobs at once instead of up to half a second later, but two to three times as many were "
        "queued without it; send and insert over 4 connections (more are no faster, since NOTIFY lets one transaction commit at a time)"
    ),
    makes_durable=(
        "a queued job is committed in PostgreSQL, a finished one before the worker takes its next batch: of a worker that dies up to "
        "1,000 jobs run again when they expire (15 minutes)"
    ),
    drain_jobs=60_000,
    needs_setup=True,
)
