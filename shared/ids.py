"""Job ids: UUIDv7 (RFC 9562), which sort by the moment they were made. Handled as text everywhere but in PostgreSQL."""

import os
import re
import time
import uuid

_CANONICAL = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch  # a tenth of the time of uuid.UUID
_last = 0
_millisecond = -1
_prefix = ""  # of the ids of that millisecond
_random = ""  # hexadecimal digits of os.urandom that no id has used yet: one call for hundreds of ids
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}  # the two highest bits of the fourth group are 10


def new_id() -> str:
    """Return a new UUIDv7. Later ids of one process sort after earlier ones, down to the nanosecond of the clock."""
    global _last, _millisecond, _prefix, _random  # noqa: PLW0603 - one clock and one supply per process, used by one thread at a time
    if len(_random) < 16:
        _random = os.urandom(2048).hex()
    entropy, _random = _random[:16], _random[16:]
    _last = max(time.time_ns(), _last + 256)  # 256 ns: the step of the twelve bits below the millisecond
    millisecond, rest = divmod(_last, 1_000_000)
    if millisecond != _millisecond:
        text = f"{millisecond:012x}"
        _millisecond, _prefix = millisecond, f"{text[:8]}-{text[8:]}-7"
    return f"{_prefix}{rest * 4096 // 1_000_000:03x}-{_VARIANTS[entropy[0]]}{entropy[1:4]}-{entropy[4:]}"


def parse_id(text: str | bytes | None) -> str | None:
    """Return the id in canonical form, or None when `text` is no UUID in its usual 36 characters."""
    if text is None:
        return None
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    return text.lower() if _CANONICAL(text) else None


def floor_id(unix_seconds: float) -> str:
    """Return the smallest id that could have been made at that time, for ranges of the primary key."""
    return str(uuid.UUID(int=max(0, int(unix_seconds * 1000)) << 80))
