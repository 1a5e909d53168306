"""RQ: the simplest of the much used queues on Redis."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="rq",
    packages={"rq": "3.0.0", "redis": "8.1.0", "hiredis": "3.5.0"},
    install=venv,
    script=Path(__file__).with_name("rq_script.py"),
    settings="SimpleWorker, which runs jobs in its own process (the default Worker forks for each and takes five times the CPU "
    "time), result_ttl 0, pickle, hiredis; queued by 4 threads, many with enqueue_many",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec); a job "
    "whose worker dies is found again and counts as failed",
    drain_jobs=800,
)
