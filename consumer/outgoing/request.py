"""What goes out: checked before anything is resolved, and changed by redirects. Decisions only, no traffic."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from yarl import URL

from consumer.outgoing.errors import FetchError, ForbiddenAddressError, InvalidRequestError
from consumer.outgoing.guard import Guard

__all__ = ["Request", "checked_url", "make_request", "origin", "redirected"]

MAX_URL_CHARACTERS = 8000
MAX_HOST_CHARACTERS = 253  # RFC 1035
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_METHOD = re.compile(r"[A-Z]{1,20}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "accept-encoding", "expect"})
# Everything else may be a credential (Cookie, Authorization, X-Api-Key, a signature) of the host that it was meant for.
_FOR_ANYBODY = frozenset({"accept", "accept-language", "user-agent", "content-type"})
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True)
class Request:
    """One hop. `headers` have lower-case names; `url` has passed `checked_url`."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None


def make_request(guard: Guard, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Request:
    """Return the first hop. Raises ForbiddenAddressError and InvalidRequestError."""
    if not _METHOD.fullmatch(method):
        raise InvalidRequestError("the method must be capital letters")
    named = {name.lower(): value for name, value in headers.items()}
    for name, value in named.items():
        _check_header(name, value)
    return Request(method, checked_url(guard, url), {"user-agent": "millstream"} | named, body)


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise InvalidRequestError("a header's name holds what no header's name can")
    if name in _OURS:
        raise InvalidRequestError(f"the header {name!r} is set by millstream")
    if not _HEADER_VALUE.fullmatch(value):
        raise InvalidRequestError(f"the header {name!r} holds a line break, a control character or too much")


def checked_url(guard: Guard, text: str) -> URL:
    """Parse a URL as the client will. Raises ForbiddenAddressError unless scheme, host, port and address may be asked."""
    url = _parsed(text)
    if url.scheme not in {"http", "https"}:
        raise ForbiddenAddressError("a URL for outgoing requests starts with http:// or https://")
    host, port = url.raw_host, url.port
    if not host or not port or len(host) > MAX_HOST_CHARACTERS or "%" in host:  # %: the zone of an IPv6 address, or an escape
        raise ForbiddenAddressError("the URL names no host and port that can be asked")
    guard.check_port(host, port)
    guard.check_host(host, port)
    return url


def _parsed(text: str) -> URL:
    if len(text) > MAX_URL_CHARACTERS or _UNSAFE_IN_URL.search(text):
        raise ForbiddenAddressError("the URL is too long, or holds spaces, control characters or backslashes")
    try:
        url = URL(text)
        _ = url.port, url.raw_host  # what is wrong with these is only told when they are asked for
    except ValueError:
        raise ForbiddenAddressError("the URL cannot be understood") from None
    return url


def redirected(guard: Guard, request: Request, status: int, location: str) -> Request:
    """Return the next hop. Raises ForbiddenAddressError as for a first one, FetchError when it is no address at all."""
    try:
        url = checked_url(guard, str(request.url.join(URL(location))))
    except ValueError:
        raise FetchError(f"{origin(request.url)} redirects to what is no URL") from None
    if url.origin() != request.url.origin():
        kept = {name: value for name, value in request.headers.items() if name in _FOR_ANYBODY}
        request = replace(request, headers=kept)
        url = url.with_user(None)
    request = replace(request, url=url)
    return _as_get(request) if _becomes_get(status, request.method) else request


def _becomes_get(status: int, method: str) -> bool:
    """As browsers do it (Fetch Standard, HTTP-redirect fetch)."""
    return (status in {301, 302} and method == "POST") or (status == 303 and method not in {"GET", "HEAD"})


def _as_get(request: Request) -> Request:
    headers = {name: value for name, value in request.headers.items() if not name.startswith("content-")}
    return Request("GET", request.url, headers, None)


def origin(url: URL) -> str:
    """Return scheme, host and port: what may be shown of a URL."""
    return str(url.origin())
