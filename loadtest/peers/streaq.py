"""streaq: an asyncio queue on Redis streams and functions."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="streaq",
    packages={"streaq": "7.2.0", "coredis": "6.9.0", "anyio": "4.16.0", "uvloop": "0.23.0"},
    install=venv,
    script=Path(__file__).with_name("streaq_script.py"),
    settings="Worker with concurrency 50 (prefetch as many again), ttl 0 (no result is kept), uvloop; queued with enqueue_many",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec); it acks after "
    "the run, so a job of a worker that died is claimed by another after a minute",
    drain_jobs=3_000,
)
