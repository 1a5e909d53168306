"""Other job systems, measured next to ours on the same servers.

A peer is a record (`Peer`) and a script with two verbs. To add one, write both and name the record in `known()`:

    fill COUNT    queue COUNT jobs that do nothing, then exit 0
    drain COUNT   run one worker, 100 jobs at a time, until COUNT of them are settled; print `Drained` as JSON, exit 0

The script finds its servers in REDIS_URL (a database of its own) and DATABASE_URL, and its packages around itself: it
is copied next to them.
"""

from loadtest.peers.peer import Drained, Peer

__all__ = ["Drained", "Peer", "known"]


def known() -> list[Peer]:
    """Return every peer that there is an adapter for."""
    from loadtest.peers import arq, bullmq  # noqa: PLC0415 - the adapters import `Peer` from here

    return [bullmq.PEER, arq.PEER]
