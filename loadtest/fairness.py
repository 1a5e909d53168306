"""What each contender promises for its speed: printed below the figures and stored with them."""

from collections.abc import Iterable

from loadtest.peers import Peer

OURS = (
    "an accepted job is committed in PostgreSQL (synchronous_commit=on, fsync on) before the 2xx answer, a finished "
    "job before its entry leaves the stream: neither is lost when Redis dies. Jobs go in over HTTP, validated"
)
COMMON = (
    "All contenders share one machine and one Valkey server (append-only file, fsync every second); every other round "
    "runs in reverse order. Every measurement starts from empty stores, after a checkpoint. Jobs do nothing: the "
    "figures are overhead, not work."
)
FLOOR = "bare echo stores nothing: it is the most that aiohttp can accept on this machine, not a peer."


def notes(peers: Iterable[Peer]) -> list[str]:
    """Return one sentence or two for each contender."""
    return [
        COMMON,
        FLOOR,
        f"millstream makes durable: {OURS}.",
        *(f"{peer.name} makes durable: {peer.makes_durable}. Set up as: {peer.settings}. Versions: {_pinned(peer)}." for peer in peers),
    ]


def _pinned(peer: Peer) -> str:
    return ", ".join(f"{name} {version}" for name, version in peer.packages.items())
