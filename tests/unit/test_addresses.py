"""Which places outgoing traffic may reach: by address, by port, by how a host is written, by what the operator allows."""

from ipaddress import ip_address

import pytest

from consumer.outgoing import ForbiddenAddressError
from consumer.outgoing.addresses import why_forbidden
from consumer.outgoing.guard import Guard
from consumer.outgoing.request import checked_url
from shared.allow_list import AllowList
from shared.errors import ConfigError
from shared.settings import Settings, load

# Of each network the first and last address, and their neighbours outside it where those are public.
FORBIDDEN = [
    *["0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0", "127.255.255.255"],  # noqa: S104 - nobody binds it
    *["169.254.0.0", "169.254.169.254", "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.1"],
    *["192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.0", "239.255.255.255"],
    *["240.0.0.0", "255.255.255.254", "255.255.255.255", "168.63.129.16", "100.100.100.200", "192.88.99.1"],
    *["::", "::1", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "fc00::", "fdff::1"],
    *["fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ffff::1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"],
    *["2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "2001::1", "2001:0:7f00:1::", "2001:1ff::1", "2001:db8::1", "3fff::1"],
    *["100::1", "5f00::1", "4000::1", "1::1", "1fff:ffff::1", "fe80::1%1"],
]
PUBLIC = [
    *["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255"],
    *["169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0"],
    *["223.255.255.255", "168.63.129.15", "168.63.129.17", "8.8.8.8"],
    *["2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "3ffe::1", "2a00::1"],
]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_what_is_not_public_is_forbidden(text: str) -> None:
    """Private, local, shared, special and tunnelled addresses have a purpose that is not the public's."""
    assert why_forbidden(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_is_not(text: str) -> None:
    """The neighbours of every special network are ordinary."""
    assert why_forbidden(ip_address(text)) == ""


@pytest.mark.parametrize(
    "url",
    [
        *[
            "file:///etc/passwd",
            "ftp://example.org/",
            "gopher://example.org:70/_x",
            "dict://example.org/",
            "data:text/html,x",
            "ws://example.org",
        ],
        *["javascript:alert(1)", "//example.org/", "/etc/passwd", "example.org", "", "http://", "http:///x", "https://?x", "unix:///run/x"],
        *["http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/"],
        *["http://0x7f.1/", "http://0/", "http://1.2.3/", "http://127.0.0.1./", "http://2130706433./", "http://0x/", "http://999.1.1.1/"],
        *[
            "http://\uff11\uff12\uff17.0.0.1/",
            "http://127\u30020\u30020\u30021/",
            "http://\u2460\u2461\u2466.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://127.0.0.1%00.example.org/",
        ],
        *[
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::127.0.0.1]/",
            "http://[fe80::1%25eth0]/",
            "http://[2606:4700::1%25lo]/",
        ],
        *[
            "http://[64:ff9b::7f00:1]/",
            "http://[fd00::1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.1:8080/",
            "http://[::]/",
        ],
        *[
            "http://example.org:22/",
            "http://example.org:25/",
            "http://example.org:6379/",
            "http://example.org:5432/",
            "http://example.org:0/",
        ],
        *[
            "http://example.org:1023/",
            "http://example.org:6667/",
            "http://example.org:65536/",
            "http://example.org:x/",
            "http://8.8.8.8:53/",
        ],
        *["http://user:pass@127.0.0.1/", "http://example.org\\@127.0.0.1/", "http://exa mple.org/", "http://example.org/\r\nHost: x"],
        *["http://example.org/a\tb", "\thttp://example.org/", "http://" + "a" * 254 + "/", "http://example.org/" + "a" * 8000],
    ],
    ids=lambda url: url[:50],
)
def test_a_url_that_leads_elsewhere_is_refused(url: str) -> None:
    """Other schemes, local addresses in whatever spelling, other ports and what parsers read differently never get as far as DNS."""
    with pytest.raises(ForbiddenAddressError):
        checked_url(Guard(AllowList()), url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://example.org", "example.org", 80),
        ("https://example.org/a?b=c#d", "example.org", 443),
        ("HTTP://EXAMPLE.org:8080/", "example.org", 8080),
        ("http://example.org:1024/", "example.org", 1024),
        ("http://example.org:65535/", "example.org", 65535),
        ("http://example.org:443/", "example.org", 443),
        ("http://example.org./", "example.org.", 80),
        ("http://user:pass@example.org/", "example.org", 80),
        ("http://bücher.example/ä?ö", "xn--bcher-kva.example", 80),
        ("http://8.8.8.8/", "8.8.8.8", 80),
        ("http://[2606:4700::1111]:8443/", "2606:4700::1111", 8443),
        ("http://1.2.3.4.example/", "1.2.3.4.example", 80),
        ("http://0x7f.example/", "0x7f.example", 80),
        ("http://localhost/", "localhost", 80),  # DNS says where it is, and that is looked at
        ("http://" + "a" * 253 + "/", "a" * 253, 80),
        ("http://example.org/" + "a" * 7981, "example.org", 80),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_url_of_a_web_server_is_not(url: str, host: str, port: int) -> None:
    """Ordinary URLs pass, up to the limits; names are in ASCII afterwards."""
    checked = checked_url(Guard(AllowList()), url)
    assert (checked.raw_host, checked.port) == (host, port)


@pytest.mark.parametrize(
    ("word", "allowed", "refused"),
    [
        ("10.1.0.0/16", "http://10.1.255.255/", "http://10.2.0.0/"),
        ("127.0.0.1", "http://127.0.0.1:8080/", "http://127.0.0.2:8080/"),
        ("127.0.0.1", "http://127.0.0.1/", "http://[::ffff:127.0.0.1]/"),
        ("10.1.0.0/16", "http://10.1.2.3/", "http://10.1.2.3:22/"),
        ("fd00::/8", "http://[fd00::5]/", "http://[fc00::5]/"),
        ("10.1.2.3:22", "http://10.1.2.3:22/", "http://10.1.2.3:80/"),
        ("[::1]:8080", "http://[::1]:8080/", "http://[::1]:8081/"),
        ("relay.example:25", "http://RELAY.example.:25/", "http://relay.example:26/"),
    ],
)
def test_what_the_operator_allows(word: str, allowed: str, refused: str) -> None:
    """A network opens its addresses on web ports; host:port opens just that; neither opens its neighbours."""
    guard = Guard(AllowList.parse([word]))
    assert checked_url(guard, allowed).host
    with pytest.raises(ForbiddenAddressError):
        checked_url(guard, refused)


def test_a_name_is_admitted_only_with_all_its_addresses() -> None:
    """One private address among public ones is enough to refuse; a host allowed by name may be anywhere, on its port."""
    guard = Guard(AllowList.parse(["inside.example:8080"]))
    guard.admit("example.org", 80, ["8.8.8.8", "2606:4700::1111"])
    for rebound in ("127.0.0.1", "fe80::1", "::ffff:10.0.0.1"):
        with pytest.raises(ForbiddenAddressError, match=r"example\.org is at"):
            guard.admit("example.org", 80, ["8.8.8.8", rebound])
    guard.admit("inside.example", 8080, ["10.0.0.7"])
    guard.check_connection("10.0.0.7", 8080)
    for address, port in (("10.0.0.7", 8081), ("10.0.0.8", 8080), ("localhost", 80), ("", 80)):
        with pytest.raises(ForbiddenAddressError):
            guard.check_connection(address, port)


def test_the_setting() -> None:
    """MILLSTREAM_OUTGOING_ALLOW takes networks and places, and names what is neither."""
    given = load({"MILLSTREAM_OUTGOING_ALLOW": " 10.0.0.0/8, relay.example:25 ,[::1]:8080"})
    assert given.outgoing_allow == ("10.0.0.0/8", "relay.example:25", "[::1]:8080")
    assert Settings().outgoing_allow == ()
    for bad in ("10.0.0.1/8", "example.org", "example.org:0", "example.org:65536", "::1:x", "*"):
        with pytest.raises(ConfigError, match="MILLSTREAM_OUTGOING_ALLOW"):
            load({"MILLSTREAM_OUTGOING_ALLOW": bad})
