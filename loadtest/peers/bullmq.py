"""BullMQ: the most used queue on Redis (Node.js)."""

from pathlib import Path

from loadtest.peers.install import npm
from loadtest.peers.peer import Peer

PEER = Peer(
    name="bullmq",
    packages={"bullmq": "6.7.0", "ioredis": "5.11.1", "node": "26.10.0"},
    install=npm,
    script=Path(__file__).with_name("bullmq.mjs"),
    settings="Worker with concurrency 100, removeOnComplete (keeps 0), maxRetriesPerRequest null; queued with addBulk",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec)",
    drain_jobs=40_000,
)
