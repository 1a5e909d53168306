"""From page to page: ask politely, take out what is wanted, go on to the next."""

import asyncio
import random
import time
from typing import Any, NamedTuple

from yarl import URL

from consumer.outgoing import Fetched, FetchError, Outgoing
from consumer.outgoing.request import REDIRECTS
from consumer.sandbox.sandbox import Sandbox, SandboxLimitError
from consumer.scraping.robots import AGENT, Robots, Site
from consumer.scraping.status import check_answer
from shared.errors import PermanentFailure, Snooze

__all__ = ["Page", "Walk"]

Host = tuple[str | None, int | None]

FETCH_SECONDS = 30.0
PARSE_SECONDS = 10.0
FIRST_WAIT_SECONDS = 5.0  # a job waits so long for its turn; beyond that it gives its slot to others and comes back
NEXT_WAIT_SECONDS = 30.0  # between the pages of one walk, which cannot come back to where it was
MAX_SNOOZE_SECONDS = 3600.0
MAX_HOPS = 5
ELSEWHERE = "the next page is on another host"
_HEADERS = {"user-agent": AGENT, "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,text/*;q=0.8"}


class Page(NamedTuple):
    """A page, and what was taken out of it."""

    url: str
    status: int
    size: int  # bytes
    found: dict[str, Any]  # see consumer.scraping.page

    def next_url(self) -> str | None:
        """Return the whole URL of the next page, None without a link."""
        if (link := self.found["next"]) is None:
            return None
        try:
            base = URL(self.url).join(URL(self.found["base"] or ""))
            return str(base.join(URL(link)).with_fragment(None))
        except ValueError:  # a link that is none
            return None


class Walk:
    """One job's way through a site."""

    def __init__(self, outgoing: Outgoing, robots: Robots, sandbox: Sandbox, wanted: dict[str, Any], max_bytes: int) -> None:
        """`wanted`: what consumer.scraping.page is told, without the type of the content."""
        self._outgoing = outgoing
        self._robots = robots
        self._sandbox = sandbox
        self._wanted = wanted
        self._max_bytes = max_bytes

    async def pages(self, url: str, follow: int) -> tuple[list[Page], str | None]:
        """Return the first page and up to `follow` next ones, and why it ended before that (None: it did not).

        Raises what a handler may raise; robots.txt, another host and a circle end a walk, other troubles fail it.
        """
        pages = [await self._page(url, FIRST_WAIT_SECONDS)]
        seen = {url, pages[0].url}
        for _ in range(follow):
            following = pages[-1].next_url()
            if following is None:
                return pages, "no next link"
            if reason := _why_not(following, pages[0].url, seen):
                return pages, reason
            try:
                pages.append(await self._page(following, NEXT_WAIT_SECONDS, stays_on=_host(pages[0].url)))
            except _EndOfWalk as end:
                return pages, str(end)
            seen |= {following, pages[-1].url}
        return pages, None

    async def _page(self, url: str, longest_wait: float, stays_on: Host | None = None) -> Page:
        fetched = await self._get(url, longest_wait, stays_on)
        check_answer(fetched)
        request = self._wanted | {"content_type": fetched.headers.get("content-type", "")}
        try:
            [found] = await self._sandbox.run("consumer.scraping.page", request, fetched.body, seconds=PARSE_SECONDS)
        except SandboxLimitError as error:
            raise PermanentFailure(f"the page is too much work: {error}") from None
        if "problem" in found:
            raise PermanentFailure(found["problem"])
        return Page(str(URL(fetched.url).with_fragment(None)), fetched.status, len(fetched.body), found)

    async def _get(self, url: str, longest_wait: float, stays_on: Host | None) -> Fetched:
        """Fetch; where redirects lead robots.txt is asked, too."""
        paced: set[str] = set()  # a redirect within a site belongs to the request that met it
        for _ in range(MAX_HOPS + 1):
            origin = _origin(url)
            site = await self._allowed(origin, url, is_first=stays_on is None)
            if origin not in paced:
                await _take_turn(site, longest_wait, is_first=stays_on is None)
                paced.add(origin)
            fetched = await self._outgoing.fetch(
                "GET", url, headers=_HEADERS, max_bytes=self._max_bytes, timeout=FETCH_SECONDS, max_redirects=0
            )
            if fetched.status not in REDIRECTS or "location" not in fetched.headers:
                return fetched
            url = _joined(url, fetched.headers["location"])
            if stays_on is not None and _host(url) != stays_on:
                raise _EndOfWalk(ELSEWHERE)
        raise FetchError(f"more than {MAX_HOPS} redirects")

    async def _allowed(self, origin: str, url: str, *, is_first: bool) -> Site:
        site = await self._robots.site(origin)
        try:
            await asyncio.to_thread(site.check, url)  # hostile rules take a third of a second
        except PermanentFailure as error:
            if is_first:
                raise
            raise _EndOfWalk(str(error)) from None
        return site


async def _take_turn(site: Site, longest: float, *, is_first: bool) -> None:
    wait = site.reserve(time.monotonic(), longest)
    if wait <= longest:
        await asyncio.sleep(wait)
    elif is_first:
        raise Snooze(min(wait, MAX_SNOOZE_SECONDS) + random.uniform(0, site.delay / 2))  # not all that wait at the same moment
    else:
        raise _EndOfWalk(f"robots.txt wants {site.delay:g} s between pages")


class _EndOfWalk(Exception):  # noqa: N818 - no error: the pages so far are the result
    """The walk ends here."""


def _why_not(url: str, first: str, seen: set[str]) -> str | None:
    if _host(url) != _host(first):
        return ELSEWHERE
    return "the next page was seen before" if url in seen else None


def _joined(url: str, location: str) -> str:
    try:
        return str(URL(url).join(URL(location)))
    except ValueError:
        raise FetchError(f"{_origin(url)} redirects to what is no URL") from None


def _host(url: str) -> Host:
    """Return host and port; http and https are one host on their usual ports."""
    parsed = URL(url)
    return parsed.raw_host, None if parsed.is_default_port() else parsed.port


def _origin(url: str) -> str:
    try:
        return str(URL(url).origin())
    except ValueError:
        raise PermanentFailure("the URL cannot be asked: it needs a scheme and a host") from None
