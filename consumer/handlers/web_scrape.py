"""`web.scrape`: what CSS selectors find on a page, and on the pages that follow it."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from shared.jobs import Context, job

if TYPE_CHECKING:
    from consumer.scraping.walk import Page

MIB = 1024 * 1024
DEFAULT_BYTES = 2 * MIB
MAX_BYTES = 16 * MIB
MAX_FOLLOW = 10
MAX_SELECTORS = 50

Css = Annotated[str, Meta(min_length=1, max_length=500)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]


class Selector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text of the first match; `attribute`: that instead of the text; `all`: a list of all matches."""

    css: Css
    attribute: Name | None = None
    all: bool = False


class Scrape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`max_bytes` is for each page; `follow` is how many more pages to take, `next` finds the link to them."""

    url: Annotated[str, Meta(min_length=1, max_length=2000, extra_json_schema={"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"})]
    selectors: Annotated[dict[Name, Css | Selector], Meta(max_length=MAX_SELECTORS)] = {}
    max_bytes: Annotated[int, Meta(ge=1, le=MAX_BYTES)] = DEFAULT_BYTES
    follow: Annotated[int, Meta(ge=0, le=MAX_FOLLOW)] = 0
    next: Css = 'a[rel~="next"], link[rel~="next"]'


@job("web.scrape", aliases=("scrapeWebsite",), timeout=600)
async def scrape(ctx: Context, payload: Scrape) -> dict[str, Any]:
    """Return `url` and `status` of the first page, its `title`, `data` by name, `pages` and `bytes` in all.

    `stopped` says why there are fewer pages than asked for. Of several pages lists are joined; of single values the first counts.
    """
    from consumer.scraping.walk import Walk  # noqa: PLC0415 - its libraries are for those who scrape

    selectors = {name: Selector(wanted) if isinstance(wanted, str) else wanted for name, wanted in payload.selectors.items()}
    wanted = {
        "selectors": [{"name": name} | msgspec.to_builtins(selector) for name, selector in selectors.items()],
        "next": payload.next if payload.follow else None,
    }
    walk = Walk(ctx.resources["outgoing"], ctx.resources["robots"], ctx.resources["sandbox"], wanted, payload.max_bytes)
    pages, stopped = await walk.pages(payload.url, payload.follow)
    return {
        "url": pages[0].url,
        "status": pages[0].status,
        "title": pages[0].found["title"],
        "data": {name: _joined(name, selector, pages) for name, selector in selectors.items()},
        "pages": len(pages),
        "bytes": sum(page.size for page in pages),
    } | ({"stopped": stopped} if stopped else {})


def _joined(name: str, selector: Selector, pages: "list[Page]") -> Any:
    found = [page.found["data"][name] for page in pages]
    if selector.all:
        return [value for values in found for value in values]
    return next((value for value in found if value is not None), None)
