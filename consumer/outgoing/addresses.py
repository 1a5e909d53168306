"""Which IP addresses are public, from the IANA registries of special-purpose addresses (RFC 6890 and its successors).

A table of our own: `ipaddress.is_global` differs between Python versions, and counts tunnels to private addresses as global.
"""

from ipaddress import IPv6Address, ip_network

from shared.allow_list import Address

__all__ = ["why_forbidden"]

_SPECIAL = tuple(
    (ip_network(network), purpose)
    for network, purpose in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),  # Azure's, the one that hides among public addresses
        ("169.254.0.0/16", "link-local"),  # 169.254.169.254: metadata of most clouds
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        # An IPv4 address inside an IPv6 one reaches what the IPv4 one reaches, or a translator that nobody has checked.
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("100::/64", "discard"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST = ip_network("2000::/3")  # all that IANA has given out so far


def why_forbidden(address: Address) -> str:
    """Return what the address is for, or an empty string when it is public."""
    for network, purpose in _SPECIAL:
        if address in network:
            return purpose
    return "reserved" if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST else ""
