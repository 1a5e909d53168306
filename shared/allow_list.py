"""Exceptions that an operator makes from the rule that outgoing traffic reaches public addresses and HTTP ports only."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Self

__all__ = ["Address", "AllowList"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PLACE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class AllowList:
    """Networks whose addresses may be reached, and places (host, port) that may be reached wherever the host is."""

    networks: tuple[Network, ...] = ()
    places: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, words: Iterable[str]) -> Self:
        """Read `10.1.0.0/16`, `10.1.2.3`, `fd00::/8`, `host:port`, `[::1]:8080`. Raises ValueError for anything else."""
        networks: list[Network] = []
        places: set[tuple[str, int]] = set()
        for word in words:
            found = _PLACE.fullmatch(word)
            if found:
                places.add((_host(found["six"] or found["name"]), _port(word, found["port"])))
            else:
                networks.append(_network(word))
        return cls(tuple(networks), frozenset(places))

    def allows_address(self, address: Address) -> bool:
        """Whether the address lies in one of the networks."""
        return any(address in network for network in self.networks)

    def allows_place(self, host: str, port: int) -> bool:
        """Whether just this host was allowed with just this port; an address in another spelling is another host."""
        return (_host(host), port) in self.places


def _host(text: str) -> str:
    return text.lower().rstrip(".")


def _port(word: str, digits: str) -> int:
    port = int(digits)
    if not 1 <= port <= 65535:
        raise ValueError(f"{word!r}: a port is from 1 to 65535")
    return port


def _network(word: str) -> Network:
    try:
        return ip_network(word)
    except ValueError:
        raise ValueError(f"{word!r} is neither a network such as 10.0.0.0/8 nor host:port") from None
