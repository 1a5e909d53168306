"""The one guard of outgoing traffic: which hosts, ports and addresses may be connected to."""

from collections.abc import Iterable
from ipaddress import ip_address

from consumer.outgoing.addresses import why_forbidden
from consumer.outgoing.errors import ForbiddenAddressError
from shared.allow_list import Address, AllowList

__all__ = ["Guard"]

_LOW_PORTS = frozenset({80, 443})
# Ports above 1023 on which something answers that HTTP could be made to mean another thing to: the block list of the
# Fetch Standard, and stores that take commands line by line.
_BAD_HIGH_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
    | {2375, 3306, 5432, 6379, 11211}
)


class Guard:
    """Says no to everything but public addresses and ports of web servers, except for what the allow list opens."""

    def __init__(self, allow: AllowList) -> None:
        self._allow = allow
        self._named: set[tuple[Address, int]] = set()  # where the hosts were found that are allowed by name

    def check_port(self, host: str, port: int) -> None:
        """Raise ForbiddenAddressError unless web servers listen on such a port, or the place is allowed."""
        if not self._allow.allows_place(host, port) and not _is_web_port(port):
            raise ForbiddenAddressError(f"{host}: port {port} is not for outgoing requests")

    def check_host(self, host: str, port: int) -> None:
        """Raise ForbiddenAddressError when `host` is an address, or looks like one, and must not be reached."""
        address = _parsed(host)
        if address is not None:
            self.admit(host, port, [host])
        elif _ends_in_number(host):
            raise ForbiddenAddressError(f"{host}: an address must be written as 192.0.2.1 or [2001:db8::1]")

    def admit(self, host: str, port: int, addresses: Iterable[str]) -> None:
        """Take what DNS says of `host`. Raises ForbiddenAddressError when one of them must not be reached: none is, then."""
        self.check_port(host, port)
        by_name = self._allow.allows_place(host, port)
        for text in addresses:
            address = ip_address(text)
            if by_name:
                self._named.add((address, port))
            else:
                self._check(host, address)

    def check_connection(self, text: str, port: int) -> None:
        """Raise ForbiddenAddressError when a socket must not be connected there: the last word, whoever resolved the name."""
        address = _parsed(text)
        if address is None:
            raise ForbiddenAddressError(f"{text}: not an address")
        if (address, port) not in self._named and not self._allow.allows_place(text, port):
            self.check_port(text, port)
            self._check(text, address)

    def _check(self, host: str, address: Address) -> None:
        if not self._allow.allows_address(address) and (purpose := why_forbidden(address)):
            where = f"{host} is" if host == str(address) else f"{host} is at {address},"
            raise ForbiddenAddressError(f"{where} not a public address ({purpose})")


def _is_web_port(port: int) -> bool:
    return port in _LOW_PORTS or (1024 <= port <= 65535 and port not in _BAD_HIGH_PORTS)


def _parsed(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _ends_in_number(host: str) -> bool:
    """Whether a resolver may take it for an IPv4 address in decimal, octal, hex or with parts left out (URL Standard, 3.5)."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))
