"""Other job systems, measured next to ours on the same servers.

A peer is a record (`Peer`: versions, settings, what it promises) and a script, which gives the kit (`kit.py`, `kit.mjs`)
a client that queues jobs and a worker that runs them; the kit makes verbs of them:

    setup              create tables and the like in an empty store (only where `needs_setup`)
    fill COUNT         queue COUNT jobs, then exit
    submit SECONDS     queue jobs one by one, 64 calls at a time where the client can; print {"rate": jobs a second}
    bulk SECONDS       the same with the bulk call, 500 jobs a call
    pace RATE SECONDS  open loop: RATE jobs a second, each carrying the time just before its call
    work               one worker process, until it is killed; tells its progress in the file BENCH_REPORT

The script finds its servers in REDIS_URL (a Redis database of its own) and DATABASE_URL (an empty database), and its
packages around itself: it is copied next to them. To add a peer write both and name the record in `known()`.
"""

from importlib import import_module

from loadtest.peers.peer import Installed, Peer

__all__ = ["Installed", "Peer", "known"]


_MODULES = (
    *("bullmq", "graphile_worker", "pg_boss"),
    *("arq", "saq", "streaq", "taskiq", "ardiq", "celery", "dramatiq", "rq", "huey", "procrastinate", "awa"),
)


def known() -> list[Peer]:
    """Return every peer that there is an adapter for."""
    return [import_module(f"loadtest.peers.{name}").PEER for name in _MODULES]
