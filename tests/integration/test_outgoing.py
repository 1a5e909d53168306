"""Outgoing requests against real servers on loopback: the guard holds at the connection, and no answer is too much."""

import asyncio
import gzip
import itertools
import pickle
import socket
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from consumer.outgoing import (
    Fetched,
    FetchError,
    ForbiddenAddressError,
    InvalidRequestError,
    Outgoing,
    TooLargeError,
    fetch_blocking,
)
from consumer.outgoing.guard import Guard
from consumer.outgoing.transport import _guarded_sockets
from shared.allow_list import AllowList
from shared.errors import PermanentFailure
from tests.support.http_server import HttpServer, answer, http_server, redirect

LIMITS: dict[str, Any] = {"max_bytes": 1000, "timeout": 10}
BOMB = gzip.compress(bytes(50_000_000))


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with http_server() as running:
        running.replies["/"] = answer(b"hello")
        yield running


@pytest.fixture
async def outgoing(server: HttpServer) -> AsyncIterator[Outgoing]:
    """May ask that server, and nothing else on this machine."""
    opened = Outgoing([server.place])
    yield opened
    await opened.close()


async def ask(outgoing: Outgoing, url: str, method: str = "GET", **options: Any) -> Fetched:
    return await outgoing.fetch(method, url, **LIMITS | options)


async def test_an_answer(server: HttpServer, outgoing: Outgoing) -> None:
    """Status, URL, headers, body and time of an ordinary answer; what was sent is what was asked for."""
    server.replies["/new?a=b"] = answer(b"made", "X-Twice: 1", "x-twice: 2", status=201, kind="text/plain")
    fetched = await ask(outgoing, f"{server.url}/new?a=b#c", "POST", headers={"X-Sign": "abc"}, body=b"{}")
    assert (fetched.status, fetched.body, fetched.headers["content-type"]) == (201, b"made", "text/plain")
    assert (fetched.headers["Content-Type"], fetched.headers["X-Twice"]) == ("text/plain", "1")
    assert pickle.loads(pickle.dumps(fetched)) == fetched  # noqa: S301 - it may come from a child process
    assert fetched.url.startswith(f"{server.url}/new?a=b")
    assert 0 < fetched.elapsed < 10
    [seen] = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/new?a=b", b"{}")
    assert (seen.headers["x-sign"], seen.headers["user-agent"], seen.headers["host"]) == ("abc", "millstream", server.place)


async def test_errors_of_the_server_are_answers(server: HttpServer, outgoing: Outgoing) -> None:
    """What a status means is decided by who asked."""
    server.replies["/"] = answer(b"no", "Retry-After: 7", status=503)
    fetched = await ask(outgoing, server.url)
    assert (fetched.status, fetched.body, fetched.headers["retry-after"]) == (503, b"no", "7")


async def test_loopback_is_refused_unless_allowed(server: HttpServer) -> None:
    """Without the exception the same request fails for good, by address and by name, and nobody is connected to."""
    outgoing = Outgoing()
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "2130706433", "[::ffff:127.0.0.1]"):
        with pytest.raises(ForbiddenAddressError) as caught:
            await ask(outgoing, f"http://{host}:{server.port}/")
        assert isinstance(caught.value, PermanentFailure)
    await outgoing.close()
    assert server.connection_count == 0


async def test_the_checked_address_is_the_connected_one() -> None:
    """A name that resolves to an allowed address first and to a forbidden one from then on: one lookup a connection, no other."""
    lookups: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        lookups.append(f"{host}:{port}")
        return ["127.0.0.2"] if len(lookups) == 1 else ["127.0.0.1"]

    async with http_server("127.0.0.2") as good, http_server("127.0.0.1", good.port) as secret:
        good.replies["/"] = answer(b"public", "Connection: close")
        outgoing = Outgoing(["127.0.0.2"], resolve=rebinding)
        fetched = await ask(outgoing, f"http://rebind.example:{good.port}/")
        assert fetched.body == b"public"
        assert good.seen[0].headers["host"] == f"rebind.example:{good.port}"
        assert lookups == [f"rebind.example:{good.port}"]
        with pytest.raises(ForbiddenAddressError, match=r"127\.0\.0\.1"):
            await ask(outgoing, f"http://rebind.example:{good.port}/")
        await outgoing.close()
        assert (good.connection_count, secret.connection_count) == (1, 0)


async def test_a_name_with_one_bad_address_is_not_connected() -> None:
    """When DNS names an allowed and a forbidden address neither is tried."""

    async def both(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with http_server("127.0.0.2") as good:
        outgoing = Outgoing(["127.0.0.2"], resolve=both)
        with pytest.raises(ForbiddenAddressError):
            await ask(outgoing, f"http://mixed.example:{good.port}/")
        await outgoing.close()
        assert good.connection_count == 0


@pytest.mark.parametrize(
    "spelling", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "//127.0.0.1:{port}/", "http://127.1:{port}/"]
)
async def test_a_redirect_to_a_private_address(spelling: str) -> None:
    """Each hop is checked like a first one."""
    async with http_server("127.0.0.2") as good, http_server() as secret:
        good.replies["/"] = redirect(spelling.format(port=secret.port))
        outgoing = Outgoing(["127.0.0.2"])
        with pytest.raises(ForbiddenAddressError):
            await ask(outgoing, good.url)
        await outgoing.close()
        assert (good.connection_count, secret.connection_count) == (1, 0)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:6379/_x", "http://169.254.169.254/"])
async def test_a_redirect_to_another_scheme(server: HttpServer, outgoing: Outgoing, location: str) -> None:
    """A redirect does not open what a first URL could not."""
    server.replies["/"] = redirect(location)
    with pytest.raises(ForbiddenAddressError):
        await ask(outgoing, server.url)


async def test_redirects_are_followed_so_far(server: HttpServer, outgoing: Outgoing) -> None:
    """Five hops arrive, six do not; without any, the redirect itself is the answer."""
    for number in range(7):
        server.replies[f"/{number}"] = redirect(f"/{number - 1}" if number > 1 else "/")
    fetched = await ask(outgoing, f"{server.url}/5")
    assert (fetched.url, fetched.body) == (f"{server.url}/", b"hello")
    with pytest.raises(FetchError, match="more than 5 redirects"):
        await ask(outgoing, f"{server.url}/6")
    only = await ask(outgoing, f"{server.url}/5", max_redirects=0)
    assert (only.status, only.headers["location"], only.body) == (302, "/4", b"moved")


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (303, "HEAD", "HEAD"), (307, "POST", "POST"), (308, "POST", "POST")],
)
async def test_what_a_redirect_does_to_the_request(server: HttpServer, outgoing: Outgoing, status: int, method: str, then: str) -> None:
    """Methods and bodies change as in browsers."""
    server.replies |= {"/old": redirect("/new", status), "/new": answer()}
    if method == "HEAD":
        server.replies["/old"] = redirect("/new", status).partition(b"moved")[0]
    await ask(outgoing, f"{server.url}/old", method, body=b"data" if method == "POST" else None)
    assert [(seen.method, bool(seen.body)) for seen in server.seen] == [(method, method == "POST"), (then, then == "POST")]


async def test_credentials_stay_with_their_host(server: HttpServer) -> None:
    """User, password, cookies and headers of any other name do not follow to another origin; to another path they do."""
    async with http_server() as other:
        outgoing = Outgoing(["127.0.0.1"])
        server.replies |= {"/away": redirect(f"{other.url}/"), "/here": redirect("/")}
        headers = {"Cookie": "a=b", "X-Api-Key": "secret", "Accept": "text/html"}
        with_password = server.url.replace("//", "//user:pass@")
        await ask(outgoing, f"{with_password}/away", headers=headers)
        fetched = await ask(outgoing, f"{with_password}/here", headers=headers)
        await outgoing.close()
    assert [seen.headers["authorization"] for seen in server.seen] == ["Basic dXNlcjpwYXNz"] * 3
    assert [seen.headers["x-api-key"] for seen in server.seen] == ["secret"] * 3
    assert {"authorization", "cookie", "x-api-key"}.isdisjoint(other.seen[0].headers)
    assert other.seen[0].headers["accept"] == "text/html"
    assert fetched.url == f"{server.url}/"


async def test_a_body_up_to_the_limit(server: HttpServer, outgoing: Outgoing) -> None:
    """As many bytes as allowed arrive, one more does not, whether the length is told, chunked or compressed."""
    for size in (1000, 1001):
        body = b"x" * size
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body)
        deflated, raw = zlib.compress(body), zlib.compress(body, wbits=-15)
        for reply in (
            answer(body),
            chunked,
            b"HTTP/1.1 200 OK\r\n\r\n" + body,
            answer(gzip.compress(body), "Content-Encoding: gzip"),
            answer(gzip.compress(body[:500]) + gzip.compress(body[500:]), "Content-Encoding: x-gzip"),
            answer(deflated, "Content-Encoding: deflate"),
            answer(raw, "Content-Encoding: Deflate"),
            answer(body, "Content-Encoding: identity"),
        ):
            closing = reply if b"Content-Length" in reply or b"chunked" in reply else _then_closes(reply)
            server.replies["/"] = closing
            if size == 1000:
                assert (await ask(outgoing, server.url)).body == body
            else:
                with pytest.raises(TooLargeError):
                    await ask(outgoing, server.url)


def _then_closes(reply: bytes) -> Any:
    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()
        writer.close()

    return play


async def test_the_length_of_a_head(server: HttpServer, outgoing: Outgoing) -> None:
    """The answer to HEAD tells how long the page is; no byte of it comes."""
    server.replies["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    fetched = await ask(outgoing, server.url, "HEAD")
    assert (fetched.headers["Content-Length"], fetched.body) == ("5000", b"")


async def test_a_bomb_stops_early(server: HttpServer, outgoing: Outgoing) -> None:
    """Fifty megabytes out of fifty kilobytes are not unpacked to see that they are too many."""
    server.replies["/"] = answer(BOMB, "Content-Encoding: gzip")
    fetched = asyncio.create_task(ask(outgoing, server.url, max_bytes=100_000))
    longest = await _longest_pause(fetched)
    with pytest.raises(TooLargeError):
        await fetched
    assert longest < 0.5


async def _longest_pause(task: "asyncio.Task[Fetched]") -> float:
    loop = asyncio.get_running_loop()
    longest, last = 0.0, loop.time()
    while not task.done():
        await asyncio.sleep(0)
        longest, last = max(longest, loop.time() - last), loop.time()
    return longest


async def test_an_endless_body(server: HttpServer, outgoing: Outgoing) -> None:
    """A server that never stops sending is left as soon as it has sent too much."""

    async def forever(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"64\r\n" + b"x" * 100 + b"\r\n")
            await writer.drain()

    server.replies["/"] = forever
    with pytest.raises(TooLargeError):
        await ask(outgoing, server.url)


async def test_a_slow_server(server: HttpServer, outgoing: Outgoing) -> None:
    """One that sends a byte now and then, of its headers or of its body, has no more time than any other."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in itertools.cycle(b"X-Slow: loris\r\n"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    for start in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 "):
        server.replies["/"] = _first(start, drip)
        with pytest.raises(FetchError, match=r"no whole answer within 0\.3 s"):
            await ask(outgoing, server.url, timeout=0.3)


def _first(start: bytes, then: Any) -> Any:
    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await then(writer)

    return play


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntoo short",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nBroken",
        b"HTTP/1.1 banana\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 5\r\n\r\nhello",
        answer(gzip.compress(b"x" * 500)[:-10], "Content-Encoding: gzip"),
        answer(zlib.compress(b"x" * 500) + b"more", "Content-Encoding: deflate"),
        redirect("http://[half/"),
        redirect("http://" + "\xff" * 10 + ":nonsense/"),
    ],
    ids=lambda reply: str(reply[:60]),
)
async def test_a_lying_server(server: HttpServer, outgoing: Outgoing, reply: bytes) -> None:
    """Wrong lengths, broken chunks, no HTTP, wrong encodings: an error that may be tried again or a refusal, never half an answer."""
    server.replies["/"] = _then_closes(reply)
    with pytest.raises((FetchError, ForbiddenAddressError)):
        await ask(outgoing, server.url)


async def test_more_than_promised_is_not_taken_for_the_next_answer(server: HttpServer, outgoing: Outgoing) -> None:
    """What a server sends beyond its Content-Length belongs to nobody."""
    server.replies["/"] = [answer(b"hello") + answer(b"smuggled"), answer(b"second")]
    assert (await ask(outgoing, server.url)).body == b"hello"
    assert (await ask(outgoing, server.url)).body == b"second"


async def test_nobody_listens(outgoing: Outgoing, server: HttpServer) -> None:
    """A refused connection may be tried again; the error names the place and nothing else of the URL."""
    await server.stop()
    with pytest.raises(FetchError, match=f"127.0.0.1:{server.port}: ") as caught:
        await ask(outgoing, f"http://user:password@{server.place}/path?token=secret")
    assert not {"password", "secret", "path"} & set(str(caught.value).replace("/", " ").split())


async def test_no_tls_where_tls_was_asked_for(server: HttpServer, outgoing: Outgoing) -> None:
    """An https URL is never asked without encryption; a failed handshake may be tried again."""
    with pytest.raises(FetchError, match=f"https://127.0.0.1:{server.port}: ") as caught:
        await ask(outgoing, f"https://{server.place}/path?token=secret")
    assert "secret" not in str(caught.value)
    assert server.seen == []


async def test_dns_fails() -> None:
    """A name that nobody knows, or that is none, may be tried again."""

    async def nobody(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such host")

    outgoing = Outgoing(resolve=nobody)
    with pytest.raises(FetchError, match=r"missing\.example"):
        await ask(outgoing, "http://missing.example/")
    await outgoing.close()
    outgoing = Outgoing()
    with pytest.raises(FetchError):
        await ask(outgoing, "http://" + "a" * 64 + ".invalid/")
    await outgoing.close()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"X-A": "b\r\nX-Evil: 1"}),
        ("GET", {"X-A": "b\nX-Evil: 1"}),
        ("GET", {"X-A": "b\rX-Evil: 1"}),
        ("GET", {"X-A": "b\0"}),
        ("GET", {"X-A": "\u2028"}),
        ("GET", {"X-A": "x" * 8001}),
        ("GET", {"X-A\r\nX-Evil": "1"}),
        ("GET", {"X A": "1"}),
        ("GET", {"": "1"}),
        ("GET", {"Host": "other.example"}),
        ("POST", {"content-length": "5"}),
        ("POST", {"Transfer-Encoding": "chunked"}),
        ("GET / HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET", {}),
        ("get", {}),
        ("", {}),
    ],
    ids=str,
)
async def test_headers_cannot_be_smuggled_in(server: HttpServer, outgoing: Outgoing, method: str, headers: dict[str, str]) -> None:
    """Line breaks and headers that frame a message are refused for good before anything is sent."""
    with pytest.raises(InvalidRequestError):
        await ask(outgoing, server.url, method, headers=headers)
    assert server.connection_count == 0


async def test_proxies_of_the_environment_are_not_used(server: HttpServer, outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect in our place, and look at nothing."""
    async with http_server() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert (await ask(outgoing, server.url)).body == b"hello"
        assert proxy.connection_count == 0


async def test_cookies_are_not_kept(server: HttpServer, outgoing: Outgoing) -> None:
    """Jobs do not see each other's sessions, although they share connections."""
    server.replies["/"] = answer(b"", "Set-Cookie: a=b; Path=/")
    await ask(outgoing, server.url)
    await ask(outgoing, server.url)
    assert server.connection_count == 1
    assert "cookie" not in server.seen[1].headers


async def test_many_at_once(server: HttpServer, outgoing: Outgoing) -> None:
    """The very first requests may come together."""
    fetched = await asyncio.gather(*(ask(outgoing, server.url) for _ in range(50)))
    assert {one.body for one in fetched} == {b"hello"}


async def test_blocking_fetch(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads and child processes have the same guard, opened by the environment alone."""
    with pytest.raises(ForbiddenAddressError):
        await asyncio.to_thread(fetch_blocking, "GET", server.url, max_bytes=1000, timeout=10)
    monkeypatch.setenv("MILLSTREAM_OUTGOING_ALLOW", server.place)
    fetched = await asyncio.to_thread(fetch_blocking, "GET", server.url, max_bytes=5, timeout=10)
    assert fetched.body == b"hello"
    with pytest.raises(TooLargeError):
        await asyncio.to_thread(fetch_blocking, "GET", server.url, max_bytes=4, timeout=10)


def test_no_socket_for_a_forbidden_address() -> None:
    """The last look: even when an address came from elsewhere than the guarded lookup no socket is made for it."""
    open_socket = _guarded_sockets(Guard(AllowList.parse(["127.0.0.2"])))
    kind, protocol = socket.SOCK_STREAM, socket.IPPROTO_TCP
    open_socket((socket.AF_INET, kind, protocol, "", ("127.0.0.2", 80))).close()
    for address in (("127.0.0.1", 80), ("127.0.0.2", 22), ("169.254.169.254", 80)):
        with pytest.raises(ForbiddenAddressError):
            open_socket((socket.AF_INET, kind, protocol, "", address))
    with pytest.raises(ForbiddenAddressError):
        open_socket((socket.AF_INET6, kind, protocol, "", ("::1", 80, 0, 0)))
