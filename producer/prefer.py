"""The header `Prefer: wait=N` (RFC 7240): how long a client would like us to wait for the end of its job."""

import re
from collections.abc import Sequence

PREFER = "Prefer"
APPLIED = "Preference-Applied"
MOST_SECONDS = 60

# One preference: a token, perhaps with a word (a token or a quoted text), perhaps with parameters. What does not look so is skipped.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word for it
_WORD = rf'(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
_PREFERENCE = re.compile(rf"\s*({_TOKEN})(?:\s*=\s*({_WORD})?)?(?:\s*;\s*(?:{_TOKEN}(?:\s*=\s*{_WORD})?)?)*\s*")
_SEPARATOR = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')


def preferred_wait(headers: Sequence[str]) -> int | None:
    """Return the seconds to wait, at most 60; None when there is nothing to wait for. As the RFC wants it, nonsense is ignored."""
    for part in (part for header in headers for part in _SEPARATOR.split(header)):
        found = _PREFERENCE.fullmatch(part)
        if found and found[1].lower() == "wait":  # the first one counts
            return _seconds((found[2] or "").strip('"'))
    return None


def _seconds(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    return min(int(text[:9]), MOST_SECONDS) or None
