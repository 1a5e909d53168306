"""Which addresses a `webhook_url` may name. Whether the host may be reached is checked when the webhook is sent: names change hands."""

import re
from urllib.parse import urlsplit

_ALLOWED = re.compile(r"(?i:https?)://[^\s\x00-\x1f\x7f/?#@\\]+([/?#][^\s\x00-\x1f\x7f]*)?")


def problem(url: str) -> str:
    """Return what is wrong with the URL, an empty text when nothing is. Its length is checked elsewhere."""
    if not _ALLOWED.fullmatch(url):
        return "must be an http or https URL without user and password"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"is no URL: {error}"
    return "" if parts.hostname else "must be an http or https URL that names a host"
