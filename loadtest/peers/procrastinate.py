"""Procrastinate: the asyncio queue on PostgreSQL that Python services of our kind use most."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="procrastinate",
    packages={"procrastinate": "3.10.0", "psycopg[binary,pool]": "3.3.9", "uvloop": "0.23.0"},
    install=venv,
    script=Path(__file__).with_name("procrastinate_script.py"),
    settings="?",
    makes_durable="?",
    drain_jobs=1_500,
    needs_setup=True,
)
