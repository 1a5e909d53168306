"""arq: the asyncio queue on Redis that Python services of our kind use most."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="arq",
    packages={"arq": "0.28.0", "uvloop": "0.23.0"},
    install=venv,
    script=Path(__file__).with_name("arq_script.py"),
    settings="Worker with max_jobs 100, poll_delay 0.01, keep_result 0, uvloop, hiredis; 100 enqueue_job at a time",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec)",
    drain_jobs=4_000,
)
