"""What to do with ticks that were missed: a word each, and one that takes a number."""

import re

SKIP = "skip"
COALESCE = "coalesce"
MOST_CAUGHT_UP = 1000

_CATCH_UP = re.compile(r"catch_up\(([0-9]{1,4})\)")


def catch_up(text: str) -> int | None:
    """Return the number in `catch_up(n)`, None when `text` is not that or n is not from 1 to 1000."""
    found = _CATCH_UP.fullmatch(text)
    return int(found[1]) if found and 1 <= int(found[1]) <= MOST_CAUGHT_UP else None
