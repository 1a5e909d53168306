"""taskiq: an asyncio task queue with many brokers; here on Redis streams, the one of its Redis brokers that acks."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="taskiq",
    packages={"taskiq": "0.13.0", "taskiq-redis": "1.2.4", "redis": "8.1.0", "hiredis": "3.5.0", "uvloop": "0.23.0"},
    install=venv,
    script=Path(__file__).with_name("taskiq_script.py"),
    settings="RedisStreamBroker (acks when saved), run_receiver_task with max_async_tasks 100, no result backend, uvloop, hiredis; "
    "64 kiq at a time (it has no bulk call)",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec); it acks after "
    "the run, so a job of a worker that died is claimed by another, ten minutes later and once a new job arrives. Entries of finished "
    "jobs stay in its stream",
    drain_jobs=6_500,
)
