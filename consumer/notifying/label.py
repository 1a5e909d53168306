"""How a target is shown: nothing of its URL that may be a secret."""

import re
from urllib.parse import urlsplit

__all__ = ["label"]

_SCHEME = re.compile(r"[a-zA-Z0-9]{1,30}")
_PLAIN = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})  # here the host is one; elsewhere it may be a token


def label(url: str) -> str:
    """Return `slack://***`, or `json://host:port/***` for the services that call any URL."""
    scheme = url.partition("://")[0]
    if not _SCHEME.fullmatch(scheme):
        return "***"
    return f"{scheme}://{_host(url)}***" if scheme.lower() in _PLAIN else f"{scheme}://***"


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.hostname}{port}/" if parts.hostname else ""
