"""awa: a queue on PostgreSQL written in Rust, by its Python bindings."""

from pathlib import Path

from loadtest.peers.install import venv
from loadtest.peers.peer import Peer

PEER = Peer(
    name="awa",
    packages={"awa-pg": "0.6.9", "uvloop": "0.23.0"},
    install=venv,
    script=Path(__file__).with_name("awa_script.py"),
    settings=(
        "AsyncClient with 300 workers on one queue (with 100 both it and PostgreSQL take half as much again), everything else as it "
        "comes: claim batches of 512, one claimer (two are no faster), deadlines, 10 connections, queue storage; uvloop; queued with "
        "insert and enqueue_many_copy over 4 connections (30 are slower)"
    ),
    makes_durable=(
        "a queued job is committed in PostgreSQL, a finished one soon after its handler (batched): what a worker had that dies runs "
        "again when its heartbeat is missed"
    ),
    drain_jobs=15_000,
    needs_setup=True,
)
