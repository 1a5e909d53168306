"""ArdiQ: a queue on Redis streams whose worker loop and Redis client are written in Rust."""

from functools import partial
from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="ardiq",
    packages={"ardiq": "1.2.0", "uvloop": "0.23.0"},
    install=partial(venv, oldest=(3, 12)),
    script=Path(__file__).with_name("ardiq_script.py"),
    settings="worker with concurrency 100 (prefetch 200), result_ttl_ms 0 (no result is kept), uvloop, Python 3.12 or newer; a worker "
    "may use more than one core, its Rust threads run beside Python; queued with enqueue_many",
    makes_durable="nothing beyond Redis: a second of queued and finished jobs may be lost when it dies (AOF everysec); it acks after "
    "the run, so a job of a worker that died is claimed by another after a minute",
    drain_jobs=36_000,
)
