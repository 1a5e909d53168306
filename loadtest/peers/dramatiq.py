"""Dramatiq: a queue of threads, built to be simpler and more reliable than Celery."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="dramatiq",
    packages={"dramatiq": "2.2.1", "redis": "8.1.0", "hiredis": "3.5.0"},
    install=venv,
    script=Path(__file__).with_name("dramatiq_script.py"),
    settings="one worker process with 16 threads, dramatiq_queue_prefetch 100, the default poll "
    "interval (a shorter one takes CPU time and wins nothing), no result backend, default middleware, JSON, "
    "hiredis; queued one by one by 4 threads",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec); jobs are "
    "acknowledged after they ran, those of a dead worker run again after a minute",
    drain_jobs=12_000,
)
