"""`web.scrape` against a real server on loopback: what it takes out, what it is polite about, what it refuses."""

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

import consumer.handlers.web_scrape  # noqa: F401 - importing registers the handler
from consumer.outgoing import FetchError, ForbiddenAddressError, Outgoing, TooLargeError
from consumer.sandbox.sandbox import Sandbox
from consumer.scraping import robots
from consumer.scraping.robots import Robots
from shared.errors import PermanentFailure, RetryAfter, Snooze
from tests.support.handler_context import HandlerContext, run_handler
from tests.support.http_server import HttpServer, Reply, answer, http_server, redirect

SHOP = b"""<!doctype html><title> The
  Shop </title><h1>Tea &amp; <b>Cake</b></h1><p class=price>  5 <i>EUR</i></p><p class=price>7 EUR</p>
  <a href="/a?x=1&amp;y=2" title="">A</a><a>no link</a><pre>one
  two</pre>"""


@pytest.fixture
async def site() -> AsyncIterator[HttpServer]:
    async with http_server() as running:
        running.replies["/shop"] = answer(SHOP)
        yield running


@pytest.fixture
async def scraper(site: HttpServer) -> AsyncIterator[dict[str, Any]]:
    """What a consumer shares among its handlers, allowed to reach that server."""
    outgoing = Outgoing([site.place])
    yield {"outgoing": outgoing, "robots": Robots(outgoing), "sandbox": Sandbox()}
    await outgoing.close()


async def scrape(scraper: dict[str, Any], url: str, **payload: Any) -> dict[str, Any]:
    result: dict[str, Any] = await run_handler("web.scrape", {"url": url} | payload, HandlerContext(resources=scraper))
    return result


async def test_a_page(site: HttpServer, scraper: dict[str, Any]) -> None:
    """Text is trimmed as a browser shows it, attributes and lists are taken on demand, what is missing is null."""
    selectors = {
        "heading": "h1",
        "price": ".price",
        "prices": {"css": ".price", "all": True},
        "link": {"css": "a", "attribute": "href"},
        "links": {"css": "a", "attribute": "href", "all": True},
        "hint": {"css": "a", "attribute": "title"},
        "code": "pre",
        "nothing": "h6",
        "nothings": {"css": "h6", "all": True},
        "no_attribute": {"css": "h1", "attribute": "id"},
    }
    result = await scrape(scraper, f"{site.url}/shop#top", selectors=selectors)
    assert result == {
        "url": f"{site.url}/shop",
        "status": 200,
        "title": "The Shop",
        "data": {
            "heading": "Tea & Cake",
            "price": "5 EUR",
            "prices": ["5 EUR", "7 EUR"],
            "link": "/a?x=1&y=2",
            "links": ["/a?x=1&y=2"],
            "hint": "",
            "code": "one\n  two",
            "nothing": None,
            "nothings": [],
            "no_attribute": None,
        },
        "pages": 1,
        "bytes": len(SHOP),
    }
    assert [(seen.path, seen.headers["user-agent"]) for seen in site.seen] == [("/robots.txt", "millstream"), ("/shop", "millstream")]


@pytest.mark.parametrize(
    ("text", "encoding", "kind"),
    [
        ("Zoë 東京", "utf-8", "text/html; charset=utf-8"),
        ("Zoë 東京", "utf-8", "text/html"),
        ("Zoë 東京", "utf-8", ""),
        ("Zoë", "latin-1", "text/html; charset=ISO-8859-1"),
        ("Zoë", "latin-1", "text/html"),
        ("<meta charset=shift_jis>東京", "shift_jis", "text/html"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">東', "gb18030", "text/html; charset=gb18030"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">Ж', "koi8-r", "text/html"),
        ("Zoë", "utf-16", "text/html"),
        ("Zoë", "utf-8-sig", "text/html; charset=latin-1"),
        ('<?xml version="1.0" encoding="windows-1251"?><a>Ж</a>', "cp1251", "application/xml"),
        ("Zoë", "utf-8", "text/html; charset=no-such-thing"),
        ("&lt;b>&amp;amp;", "utf-8", "text/html"),
    ],
)
async def test_encodings(site: HttpServer, scraper: dict[str, Any], text: str, encoding: str, kind: str) -> None:
    """What a byte order mark, the header, the page itself or its bytes say of the encoding, in this order."""
    site.replies["/"] = answer(text.encode(encoding), kind=kind)
    result = await scrape(scraper, f"{site.url}/", selectors={"text": "body"})
    assert result["data"]["text"] == html.unescape(re.sub(r"<[^b].*?>", "", text))


async def test_plain_text_is_no_markup(site: HttpServer, scraper: dict[str, Any]) -> None:
    """It is in one element `pre`, line by line."""
    site.replies["/"] = answer(b"a <b>\n &amp; c\n", kind="text/plain")
    result = await scrape(scraper, f"{site.url}/", selectors={"text": "pre", "b": "b"})
    assert result["data"] == {"text": "a <b>\n &amp; c", "b": None}


@pytest.mark.parametrize(
    ("kind", "is_page"),
    [
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("application/xhtml+xml", True),
        ("application/rss+xml", True),
        ("text/xml", True),
        ("text/csv", True),
        ("image/svg+xml", True),
        ("application/pdf", False),
        ("image/png", False),
        ("application/json", False),
        ("application/octet-stream", False),
        ("xml", False),
    ],
)
async def test_types_of_content(site: HttpServer, scraper: dict[str, Any], kind: str, is_page: bool) -> None:
    """HTML, XML and text are read; anything else is refused for good, with its name."""
    site.replies["/"] = answer(b"<title>x</title>", kind=kind)
    if is_page:
        assert (await scrape(scraper, f"{site.url}/"))["status"] == 200
    else:
        with pytest.raises(PermanentFailure, match=kind):
            await scrape(scraper, f"{site.url}/")


@pytest.mark.parametrize(
    ("status", "headers", "expected", "seconds"),
    [
        (404, [], PermanentFailure, None),
        (401, [], PermanentFailure, None),
        (304, [], PermanentFailure, None),
        (302, [], PermanentFailure, None),  # without saying where
        (500, [], FetchError, None),
        (502, ["Retry-After: 7"], FetchError, None),
        (408, [], RetryAfter, 60),
        (429, ["Retry-After: 7"], RetryAfter, 7),
        (429, ["Retry-After: 999999999999"], RetryAfter, 86_400),
        (429, ["Retry-After: -1"], RetryAfter, 60),
        (429, ["Retry-After: soon"], RetryAfter, 60),
        (503, ["Retry-After: 0"], RetryAfter, 0),
        (503, ["Date: Fri, 31 Dec 1999 23:59:30 GMT", "Retry-After: Sat, 01 Jan 2000 00:00:00 GMT"], RetryAfter, 30),
        (503, ["Date: Fri, 31 Dec 1999 23:59:30 GMT", "Retry-After: Fri, 31 Dec 1999 23:59:00 GMT"], RetryAfter, 0),
        (503, ["Retry-After: Sat, 01 Jan 2000 00:00:00 GMT"], RetryAfter, 60),
    ],
)
async def test_what_a_status_means(
    site: HttpServer, scraper: dict[str, Any], status: int, headers: list[str], expected: type[Exception], seconds: float | None
) -> None:
    """4xx fails for good, 408, 429 and 503 come back when the server says, other 5xx as any failure."""
    site.replies["/"] = answer(b"", *headers, status=status)
    with pytest.raises(expected, match=str(status)) as caught:
        await scrape(scraper, f"{site.url}/")
    assert getattr(caught.value, "seconds", None) == seconds


async def test_forbidden_addresses(site: HttpServer) -> None:
    """The guard holds for robots.txt, pages, redirects and next pages; no exception, no page."""
    outgoing = Outgoing()
    closed = {"outgoing": outgoing, "robots": Robots(outgoing), "sandbox": Sandbox()}
    for url in (site.url, "file:///etc/passwd", "ftp://example.org/", "gopher://x:70/", "http://169.254.169.254/latest/", "/x", "http://["):
        with pytest.raises(PermanentFailure):
            await scrape(closed, url)
    await outgoing.close()
    assert site.connection_count == 0


async def test_a_redirect_to_a_private_place(site: HttpServer, scraper: dict[str, Any]) -> None:
    """The page may send us where we may not go."""
    async with http_server() as secret:
        site.replies["/"] = redirect(secret.url)
        with pytest.raises(ForbiddenAddressError):
            await scrape(scraper, f"{site.url}/")
        assert secret.connection_count == 0


async def test_redirects(site: HttpServer, scraper: dict[str, Any]) -> None:
    """Up to five are followed, and `url` is where they ended; a sixth is too many."""
    for number in range(6):
        site.replies[f"/{number}"] = redirect("/shop" if number == 0 else f"{number - 1}")
    assert (await scrape(scraper, f"{site.url}/4"))["url"] == f"{site.url}/shop"
    with pytest.raises(FetchError, match="redirects"):
        await scrape(scraper, f"{site.url}/5")


async def test_size(site: HttpServer, scraper: dict[str, Any]) -> None:
    """A page as large as allowed is taken, one byte more is not."""
    assert (await scrape(scraper, f"{site.url}/shop", max_bytes=len(SHOP)))["bytes"] == len(SHOP)
    with pytest.raises(TooLargeError):
        await scrape(scraper, f"{site.url}/shop", max_bytes=len(SHOP) - 1)


@pytest.mark.parametrize(
    "payload",
    [
        {"max_bytes": 0},
        {"max_bytes": 16 * 1024 * 1024 + 1},
        {"follow": -1},
        {"follow": 11},
        {"selectors": {"a": ""}},
        {"selectors": {"a": "x" * 501}},
        {"selectors": {"": "x"}},
        {"selectors": {"a" * 101: "x"}},
        {"selectors": {str(number): "x" for number in range(51)}},
        {"selectors": {"a": {"attribute": "href"}}},
        {"selectors": {"a": {"css": "a", "every": True}}},
        {"url": ""},
        {"url": "http://" + "x" * 1994},
        {"headers": {}},
    ],
    ids=lambda payload: str(payload)[:50],
)
async def test_a_payload_beyond_the_limits(scraper: dict[str, Any], payload: dict[str, Any]) -> None:
    """The API refuses it, and so does the worker."""
    with pytest.raises(msgspec.ValidationError):
        await scrape(scraper, **{"url": "http://example.org/"} | payload)


async def test_a_payload_at_the_limits(site: HttpServer, scraper: dict[str, Any]) -> None:
    """As much as may be asked for is done."""
    selectors = {f"{number:0100d}": "p" + ",p" * 249 for number in range(50)}
    url = f"{site.url}/shop?".ljust(2000, "x")
    site.replies[url.removeprefix(site.url)] = answer(SHOP)
    result = await scrape(scraper, url, selectors=selectors, max_bytes=16 * 1024 * 1024, follow=10)
    assert len(result["data"]) == 50
    assert set(result["data"].values()) == {"5 EUR"}


@pytest.mark.parametrize("css", ["[", "p[", "a,,b", "::before", "p::text", " ", ")"])
async def test_a_bad_selector(site: HttpServer, scraper: dict[str, Any], css: str) -> None:
    """It is named, and nobody tries it again."""
    for payload in ({"selectors": {"wrong": css}}, {"selectors": {"wrong": {"css": css, "all": True}}}, {"follow": 1, "next": css}):
        with pytest.raises(PermanentFailure, match="no CSS selector"):
            await scrape(scraper, f"{site.url}/shop", **payload)


async def test_what_is_found_is_bounded(site: HttpServer, scraper: dict[str, Any]) -> None:
    """Matches and their bytes have limits: nested matches repeat the page as often as they are deep."""
    every = {"p": {"css": "p", "all": True}}
    site.replies["/10000"] = answer(b"<p>x" * 10_000)
    site.replies["/10001"] = answer(b"<p>x" * 10_001)
    assert len((await scrape(scraper, f"{site.url}/10000", selectors=every))["data"]["p"]) == 10_000
    with pytest.raises(PermanentFailure, match="10001 times"):
        await scrape(scraper, f"{site.url}/10001", selectors=every)
    site.replies["/full"] = answer(b"<p>" + b"x" * 512 * 1024)
    site.replies["/over"] = answer(b"<p>" + b"x" * (512 * 1024 + 1))
    assert len((await scrape(scraper, f"{site.url}/full", selectors=every))["data"]["p"][0]) == 512 * 1024
    with pytest.raises(PermanentFailure, match="more than 524288 bytes"):
        await scrape(scraper, f"{site.url}/over", selectors=every)


async def test_a_hostile_page_does_not_block(site: HttpServer, scraper: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two megabytes of nested tags would keep the parser busy for minutes: the job fails for good, the loop never waits."""
    monkeypatch.setattr("consumer.scraping.walk.PARSE_SECONDS", 1.0)
    site.replies["/"] = answer(b"<div>" * (2 * 1024 * 1024 // 5))
    scraping = asyncio.create_task(scrape(scraper, f"{site.url}/", selectors={"a": "div div div"}))
    longest, last = 0.0, time.monotonic()
    while not scraping.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    with pytest.raises(PermanentFailure, match="too much"):
        await scraping
    assert longest < 0.5


async def test_a_page_of_too_many_elements(site: HttpServer, scraper: dict[str, Any]) -> None:
    """The largest page there is, made of the smallest elements, costs the child its memory and the consumer none."""
    site.replies["/"] = answer(b"<p>x" * (4 * 1024 * 1024))
    with pytest.raises(PermanentFailure, match="too m"):
        await scrape(scraper, f"{site.url}/", max_bytes=16 * 1024 * 1024)


# robots.txt


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("User-agent: *\nDisallow: /shop", False),
        ("User-agent: *\nDisallow: /", False),
        ("User-agent: millstream\nDisallow: /sh*p$", False),
        ("User-agent: Millstream/1.0\nDisallow: /", True),  # names another version of the name
        ("User-agent: other\nUser-agent: MILLSTREAM # us\nDisallow: /", False),
        ("user-agent: millstream\nAllow: /shop\nUser-agent: *\nDisallow: /", True),
        ("User-agent: *\nDisallow: /\nAllow: /shop", True),
        ("User-agent: other\nDisallow: /", True),
        ("User-agent: millstreamer\nDisallow: /", True),
        ("User-agent: *\nDisallow:", True),
        ("Disallow: /", True),
        ("", True),
        ("<html>not found, with status 200</html>", True),
        ("\ufeffUser-agent: *\r\nDisallow: /shop\r\n", False),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_robots(site: HttpServer, scraper: dict[str, Any], text: str, allowed: bool) -> None:
    """What robots.txt forbids is not asked for; nobody tries it again."""
    site.replies["/robots.txt"] = answer(text.encode(), kind="text/plain")
    if allowed:
        assert (await scrape(scraper, f"{site.url}/shop"))["pages"] == 1
    else:
        with pytest.raises(PermanentFailure, match=r"robots\.txt"):
            await scrape(scraper, f"{site.url}/shop")
        assert site.paths == ["/robots.txt"]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_robots_that_cannot_be_had_forbid_for_now(site: HttpServer, scraper: dict[str, Any], status: int) -> None:
    """While a server has trouble nobody knows what it allows; other jobs do not ask again at once."""
    site.replies["/robots.txt"] = answer(b"", status=status)
    for _ in range(2):
        with pytest.raises(RetryAfter, match=str(status)) as caught:
            await scrape(scraper, f"{site.url}/shop")
        assert caught.value.seconds == 60
    assert site.paths == ["/robots.txt"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
async def test_no_robots_allow_everything(site: HttpServer, scraper: dict[str, Any], status: int) -> None:
    """A server without rules has none."""
    site.replies["/robots.txt"] = answer(b"User-agent: *\nDisallow: /", status=status) if status != 204 else b"HTTP/1.1 204 x\r\n\r\n"
    assert (await scrape(scraper, f"{site.url}/shop"))["pages"] == 1


async def test_robots_are_bounded(site: HttpServer, scraper: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """512 KiB of rules are read, one byte more and nothing is allowed; a slow one is no reason to wait for long."""
    rules = b"User-agent: *\nDisallow: /other\n#"
    site.replies["/robots.txt"] = answer(rules.ljust(robots.MAX_BYTES, b"x"))
    assert (await scrape(scraper, f"{site.url}/shop"))["pages"] == 1
    site.replies["/robots.txt"] = answer(rules.ljust(robots.MAX_BYTES + 1, b"x"))
    with pytest.raises(PermanentFailure, match="524288 bytes"):
        await scrape(scraper | {"robots": Robots(scraper["outgoing"])}, f"{site.url}/shop")

    async def never(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(robots, "FETCH_SECONDS", 0.1)
    site.replies["/robots.txt"] = never
    with pytest.raises(RetryAfter, match=r"robots\.txt cannot be had"):
        await scrape(scraper | {"robots": Robots(scraper["outgoing"])}, f"{site.url}/shop")


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"User-agent: a{number}\n" for number in range(25_000)) + "Disallow: /\n" * 500,
        "".join(f"User-agent: a{number}\x0b" for number in range(25_000)) + "Disallow: /\n" * 500,
        "".join(f"useragent a{number}\n" for number in range(20_000)) + "Disallow: /b\n" * 7000,
        "User-agent: *\nDisallow: /" + "*a" * 200_000 + "b$",
        "User-agent: *\n" + "Disallow: /*s*h*o*p*q\n" * 20_000,
    ],
    ids=["names", "odd line ends", "names and rules", "stars", "rules"],
)
async def test_hostile_robots_do_not_take_long(text: str) -> None:
    """Rules that are made to be slow to read or to match cost less than a second or two."""
    began = time.thread_time()
    robots.Site(robots._parsed(text.encode()[: robots.MAX_BYTES])).check("http://example.org/shop" + "shopa" * 380)
    assert time.thread_time() - began < 3


async def test_robots_are_remembered(site: HttpServer, scraper: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of the same site share one robots.txt for some minutes, even when they begin together; the memory for it is bounded."""
    site.replies["/robots.txt"] = answer(b"User-agent: *\nDisallow: /private")
    await asyncio.gather(*(scrape(scraper, f"{site.url}/shop") for _ in range(5)))
    assert site.paths.count("/robots.txt") == 1
    monkeypatch.setattr(robots, "MAX_KEPT_BYTES", 10)
    await scrape(scraper, f"{site.url}/shop")
    await scrape(scraper, f"{site.url}/shop")
    assert site.paths.count("/robots.txt") == 2


async def test_robots_become_old(site: HttpServer, scraper: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """After their time they are asked for again."""
    monkeypatch.setattr(robots, "KEPT_SECONDS", 0.0)
    for _ in range(2):
        await scrape(scraper, f"{site.url}/shop")
    assert site.paths.count("/robots.txt") == 2


async def test_a_redirect_asks_the_robots_of_where_it_leads(site: HttpServer) -> None:
    """A site that forbids its pages is not asked for them by way of another."""
    async with http_server() as other:
        other.replies["/robots.txt"] = answer(b"User-agent: *\nDisallow: /")
        site.replies["/"] = redirect(f"{other.url}/page")
        outgoing = Outgoing(["127.0.0.1"])
        with pytest.raises(PermanentFailure, match=r"robots\.txt"):
            await scrape({"outgoing": outgoing, "robots": Robots(outgoing), "sandbox": Sandbox()}, f"{site.url}/")
        await outgoing.close()
        assert other.paths == ["/robots.txt"]


async def test_crawl_delay(site: HttpServer, scraper: dict[str, Any]) -> None:
    """A short delay is waited for, beside a redirect that costs none; a long one sends the job back without a failure."""
    site.replies |= {"/robots.txt": answer(b"User-agent: *\nCrawl-delay: 0.3"), "/old": redirect("/shop")}
    began = time.monotonic()
    await asyncio.gather(*(scrape(scraper, f"{site.url}/old") for _ in range(3)))
    assert time.monotonic() - began >= 0.6
    patient = scraper | {"robots": Robots(scraper["outgoing"])}
    site.replies["/robots.txt"] = answer(b"User-agent: *\nCrawl-delay: 60")
    await scrape(patient, f"{site.url}/old")
    with pytest.raises(Snooze) as caught:
        await scrape(patient, f"{site.url}/shop")
    assert 50 < caught.value.seconds <= 90


# Walks


def book(pages: int, link: str = '<a rel="next nofollow" href="{}">on</a>') -> dict[str, Reply | list[Reply]]:
    def page(number: int) -> bytes:
        return answer(f"<title>Page {number}</title>{link.format(f'/book/{number + 1}')}<li>{number}a<li>{number}b".encode())

    return {f"/book/{number}": page(number) for number in range(1, pages + 1)}


async def test_a_walk(site: HttpServer, scraper: dict[str, Any]) -> None:
    """As many next pages as asked for are taken: lists are joined, of single values the first counts."""
    site.replies |= book(20)
    for follow, pages in ((0, 1), (1, 2), (10, 11)):
        result = await scrape(scraper, f"{site.url}/book/1", follow=follow, selectors={"all": {"css": "li", "all": True}, "one": "li"})
        assert (result["pages"], result["title"], result["data"]["one"], result["url"]) == (pages, "Page 1", "1a", f"{site.url}/book/1")
        assert result["data"]["all"] == [f"{number}{letter}" for number in range(1, pages + 1) for letter in "ab"]
        assert "stopped" not in result


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("", "no next link"),
        ('<a rel="next">', "no next link"),
        ('<a rel="next" href="http://[">', "no next link"),
        ('<a rel="next" href="/book/1#again">', "seen before"),
        ('<a rel="next" href="http://other.example/">', "another host"),
        ('<a rel="next" href="//127.0.0.2/">', "another host"),
        ('<a rel="next" href="javascript:next()">', "another host"),
        ('<a rel="next" href="file:///etc/passwd">', "another host"),
        ('<base href="http://other.example/x"><a rel="next" href="y">', "another host"),
        ('<a rel="next" href="/private">', "forbids"),
        ('<a rel="next" href="/away">', "another host"),
    ],
)
async def test_where_a_walk_ends(site: HttpServer, scraper: dict[str, Any], link: str, reason: str) -> None:
    """It stays on its host, asks robots.txt, never goes in circles, and says why it ended."""
    site.replies["/robots.txt"] = answer(b"User-agent: *\nDisallow: /private")
    site.replies |= book(1, link) | {"/away": redirect("http://other.example/")}
    result = await scrape(scraper, f"{site.url}/book/1", follow=5, selectors={"all": {"css": "li", "all": True}})
    assert (result["pages"], result["data"]["all"]) == (1, ["1a", "1b"])
    assert reason in result["stopped"]
    assert "/private" not in site.paths


async def test_a_walk_finds_its_way(site: HttpServer, scraper: dict[str, Any]) -> None:
    """Links may be relative, to a base, with spaces or letters of any script, and found by a selector of one's own."""
    site.replies["/books/one"] = answer(b'<base href="/shelf/"><p id=more><a href="two three">more</a>')
    site.replies["/shelf/two%20three"] = answer('<p id=more><a href="?s=ö">'.encode())
    site.replies["/shelf/two%20three?s=%C3%B6"] = answer(b"<title>end</title>")
    result = await scrape(scraper, f"{site.url}/books/one", follow=5, next="#more > a")
    assert (result["pages"], result["stopped"]) == (3, "no next link")


async def test_a_walk_keeps_the_pace(site: HttpServer, scraper: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Between pages it waits as the site wants; where that is too long it ends with what it has."""
    site.replies |= book(9) | {"/robots.txt": answer(b"User-agent: *\nCrawl-delay: 0.2")}
    began = time.monotonic()
    assert (await scrape(scraper, f"{site.url}/book/1", follow=2))["pages"] == 3
    assert time.monotonic() - began >= 0.4
    monkeypatch.setattr("consumer.scraping.walk.NEXT_WAIT_SECONDS", 0.1)
    site.replies["/robots.txt"] = answer(b"User-agent: *\nCrawl-delay: 60")
    result = await scrape(scraper | {"robots": Robots(scraper["outgoing"])}, f"{site.url}/book/1", follow=2)
    assert (result["pages"], result["stopped"]) == (1, "robots.txt wants 60 s between pages")


async def test_a_walk_fails_with_its_pages(site: HttpServer, scraper: dict[str, Any]) -> None:
    """A next page that cannot be had now is a reason to try all of it again."""
    site.replies |= book(3) | {"/book/3": answer(b"", status=500)}
    with pytest.raises(FetchError, match="500"):
        await scrape(scraper, f"{site.url}/book/1", follow=5)
