"""SAQ: an asyncio queue on Redis lists, written to be faster than arq."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="saq",
    # It imports typing_extensions on Python below 3.12 but does not name it.
    packages={"saq": "0.26.4", "redis": "8.1.0", "hiredis": "3.5.0", "uvloop": "0.23.0", "typing-extensions": "4.16.0"},
    install=venv,
    script=Path(__file__).with_name("saq_script.py"),
    settings="RedisQueue, Worker with concurrency 50, ttl -1 (a finished job is not kept), uvloop, hiredis; "
    "max_concurrent_ops 64, 64 enqueue at a time (it has no bulk call)",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec); a job of a "
    "worker that died is found by a sweep every minute and, with its default of one attempt, given up, not run again",
    drain_jobs=4_500,
)
