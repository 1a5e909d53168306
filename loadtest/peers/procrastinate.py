"""Procrastinate: the asyncio queue on PostgreSQL that Python services of our kind use most."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="procrastinate",
    packages={"procrastinate": "3.10.0", "psycopg[binary,pool]": "3.3.9", "uvloop": "0.23.0"},
    install=venv,
    script=Path(__file__).with_name("procrastinate_script.py"),
    settings=(
        "worker with concurrency 10 (one to 30 cost the same), a pool of 10 psycopg connections (32 are slower), delete_jobs "
        "successful, LISTEN/NOTIFY, uvloop; queued with defer_async and batch_defer_async"
    ),
    makes_durable=(
        "a queued job is committed in PostgreSQL, a finished one before its place takes another: of a worker that dies up to 10 jobs "
        "stay, for its user to look for and retry"
    ),
    drain_jobs=1_500,
    needs_setup=True,
)
