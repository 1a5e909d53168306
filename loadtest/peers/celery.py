"""Celery: the most used job system in Python, here with Redis as its broker."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="celery",
    packages={"celery[redis]": "5.7.0", "kombu": "5.7.0", "redis": "8.1.0", "hiredis": "3.5.0"},
    install=venv,
    script=Path(__file__).with_name("celery_script.py"),
    settings="pool solo, the cheapest (8 threads take 1.1 times its CPU time, prefork with 2 children 1.3 times), acks_late "
    "(costs nothing that can be measured), prefetch multiplier 64, results ignored, rate limits, gossip, mingle and heartbeat "
    "off, JSON, hiredis; queued one by one by a single thread (four are no faster)",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec); jobs are "
    "acknowledged after they ran (acks_late), those of a dead worker run again after the visibility timeout of an hour",
    drain_jobs=3_000,
)
