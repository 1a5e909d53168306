"""What is taken out of a page. Runs in the sandbox: 256 KiB of nested tags keep the parser busy for seconds, and all threads with it."""

import html
import re
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError
from w3lib.encoding import html_to_unicode

MAX_FOUND_BYTES = 512 * 1024
MAX_MATCHES = 10_000
MAX_TITLE_CHARACTERS = 1000
_MARKUP = re.compile(r"html|xml", re.IGNORECASE)


class Problem(Exception):  # noqa: N818 - it is the page's or the selector's, and told as such
    """The page cannot give what is wanted of it."""


def main(request: dict[str, Any], data: bytes) -> Iterator[dict[str, Any]]:
    """Yield one dict: `title`, `data` by name, `next` and `base` (links as they are written), or `problem` alone.

    `request`: `content_type`; `selectors`, a list of `name`, `css`, `attribute`, `all`; `next`, a selector or None.
    """
    try:
        yield _taken(request, _parsed(request["content_type"], data))
    except Problem as problem:
        yield {"problem": str(problem)}


def _taken(request: dict[str, Any], page: LexborHTMLParser) -> dict[str, Any]:
    budget = _Budget()
    return {
        "title": _title(page),
        "data": {wanted["name"]: _found(page, wanted, budget) for wanted in request["selectors"]},
        "next": _link(page, request["next"]) if request["next"] else None,
        "base": _link(page, "base[href]"),
    }


def _parsed(content_type: str, data: bytes) -> LexborHTMLParser:
    _, text = html_to_unicode(content_type or None, data, auto_detect_fun=_guessed, default_encoding="cp1252")
    if content_type and not _MARKUP.search(content_type.partition(";")[0]):
        text = f"<pre>{html.escape(text)}</pre>"  # plain text, as browsers show it
    try:
        return LexborHTMLParser(text)
    except SelectolaxError:  # the only reason that it has: HTML of any form is parsed
        raise Problem("the page has too many elements for the memory that its parser may use") from None


def _guessed(data: bytes) -> str | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


class _Budget:
    """Selectors may overlap: what they find together can be far more than the page."""

    def __init__(self) -> None:
        self._left = MAX_FOUND_BYTES

    def spend(self, value: str | None) -> str | None:
        self._left -= len((value or "").encode())
        if self._left < 0:
            raise Problem(f"the selectors find more than {MAX_FOUND_BYTES} bytes")
        return value


def _found(page: LexborHTMLParser, wanted: dict[str, Any], budget: _Budget) -> Any:
    try:
        if not wanted["all"]:
            node = page.css_first(wanted["css"])
            return None if node is None else budget.spend(_value(node, wanted["attribute"]))
        nodes = page.css(wanted["css"])
    except SelectolaxError:
        raise Problem(f"selector {wanted['name']!r}: {wanted['css']!r} is no CSS selector") from None
    if len(nodes) > MAX_MATCHES:
        raise Problem(f"selector {wanted['name']!r} matches {len(nodes)} times, at most {MAX_MATCHES} are taken")
    values = (budget.spend(_value(node, wanted["attribute"])) for node in nodes)
    return [value for value in values if value is not None]


def _value(node: LexborNode, attribute: str | None) -> str | None:
    if attribute is not None:
        found = node.attributes
        return (found[attribute] or "") if attribute in found else None
    text = node.text()
    return text.strip("\r\n") if node.tag == "pre" else " ".join(text.split())


def _title(page: LexborHTMLParser) -> str | None:
    node = page.css_first("title")
    return None if node is None else " ".join(node.text().split())[:MAX_TITLE_CHARACTERS]


def _link(page: LexborHTMLParser, css: str) -> str | None:
    try:
        node = page.css_first(css)
    except SelectolaxError:
        raise Problem(f"next: {css!r} is no CSS selector") from None
    return None if node is None else (node.attributes.get("href") or "").strip() or None
