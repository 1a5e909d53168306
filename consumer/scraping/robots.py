"""robots.txt (RFC 9309): what a site does not want to be asked, and how often it can be."""

import asyncio
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumer.outgoing import Fetched, FetchError, Outgoing, TooLargeError
from shared.errors import PermanentFailure, RetryAfter

if TYPE_CHECKING:
    from protego import Protego

__all__ = ["AGENT", "Robots"]

AGENT = "millstream"
KEPT_SECONDS = 300.0
AWAY_SECONDS = 60.0  # a robots.txt that cannot be had now forbids everything for so long
MAX_BYTES = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB
FETCH_SECONDS = 10.0
MAX_SITES = 1000
MAX_KEPT_BYTES = 4 * 1024 * 1024  # of text; what is made of it takes about twenty times as much
MAX_DELAY_SECONDS = 86_400.0

_GROUP = re.compile(r"user[ -]?agent\s*:?\s*(.*)", re.IGNORECASE)


@dataclass
class Site:
    """What is known of one origin."""

    rules: "Protego | None" = None  # None: nothing is forbidden
    forbidden: str = ""  # why nothing is allowed
    away: str = ""  # why nothing is allowed now
    size: int = 0
    fresh_until: float = 0.0  # by the monotonic clock, as is the next
    next_at: float = 0.0  # no request before that
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def check(self, url: str) -> None:
        """Raise PermanentFailure when the site does not want that URL to be asked, RetryAfter when nobody can say now."""
        if self.forbidden:
            raise PermanentFailure(self.forbidden)
        if self.away:
            raise RetryAfter(AWAY_SECONDS, self.away)
        if self.rules is not None and not self.rules.can_fetch(url, AGENT):
            raise PermanentFailure("robots.txt forbids this URL")

    def reserve(self, now: float, longest: float) -> float:
        """Return the seconds to wait for one's turn; one is reserved unless that is longer than `longest`."""
        wait = max(0.0, self.next_at - now)
        if wait <= longest:
            self.next_at = now + wait + self.delay
        return wait

    @property
    def delay(self) -> float:
        """Seconds between requests that the site asks for."""
        wished = self.rules.crawl_delay(AGENT) if self.rules is not None else None
        return min(wished or 0.0, MAX_DELAY_SECONDS)


class Robots:
    """The sites that this process asked lately. Each consumer process keeps its own pace."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._sites: OrderedDict[str, Site] = OrderedDict()

    async def site(self, origin: str) -> Site:
        """Return what is known of `origin` (scheme, host and port); asks when that is old."""
        site = self._sites.setdefault(origin, Site())
        self._sites.move_to_end(origin)
        async with site.lock:
            if time.monotonic() >= site.fresh_until:
                await self._refresh(origin, site)
        self._forget()
        return site

    async def _refresh(self, origin: str, site: Site) -> None:
        site.rules, site.forbidden, site.away, site.size = None, "", "", 0
        site.fresh_until = time.monotonic() + KEPT_SECONDS
        try:
            fetched = await self._outgoing.fetch("GET", f"{origin}/robots.txt", max_bytes=MAX_BYTES, timeout=FETCH_SECONDS)
            site.rules, site.size = await _rules(fetched), len(fetched.body)
        except TooLargeError:
            site.forbidden = f"robots.txt has more than {MAX_BYTES} bytes"
        except FetchError as error:
            site.fresh_until = time.monotonic() + AWAY_SECONDS
            site.away = f"robots.txt cannot be had: {error}"
        except BaseException:
            site.fresh_until = 0.0
            raise

    def _forget(self) -> None:
        while len(self._sites) > MAX_SITES or sum(site.size for site in self._sites.values()) > MAX_KEPT_BYTES:
            self._sites.popitem(last=False)


async def _rules(fetched: Fetched) -> "Protego | None":
    """Raise FetchError for what is the server's trouble; any other answer but 2xx means that there are no rules."""
    if fetched.status >= 500 or fetched.status == 429:
        raise FetchError(f"it answers {fetched.status}")
    if not 200 <= fetched.status < 300:
        return None
    return await asyncio.to_thread(_parsed, fetched.body)


def _parsed(body: bytes) -> "Protego":
    from protego import Protego  # noqa: PLC0415 - for those who scrape

    return Protego.parse(_concerning_us(body.decode("utf-8-sig", "replace")))


def _concerning_us(text: str) -> str:
    """Give the agents that we are not one name: ten thousand of them take the parser minutes, and are only compared with ours."""
    return "\n".join(_line(line.partition("#")[0].strip()) for line in text.splitlines())


def _line(line: str) -> str:
    found = _GROUP.match(line)
    name = found[1].lower().replace("*", "").strip() if found else ""
    return line if AGENT.startswith(name) else "User-agent: somebody-else"
