"""Job ids: UUIDv7 (RFC 9562), which sort by the moment they were made. Handled as text everywhere but in PostgreSQL."""

import os
import re
import time
import uuid

_CANONICAL = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch  # a tenth of the time of uuid.UUID
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
_last = 0
_random = b""  # bytes that os.urandom gave and that no id has used yet: one call for hundreds of ids


def new_id() -> str:
    """Return a new UUIDv7. Later ids of one process sort after earlier ones, down to the nanosecond of the clock."""
    global _last, _random  # noqa: PLW0603 - one clock and one supply per process, used by one thread at a time
    if len(_random) < 8:
        _random = os.urandom(4096)
    entropy, _random = _random[:8], _random[8:]
    _last = max(time.time_ns(), _last + 256)  # 256 ns: the step of the twelve bits below the millisecond
    milliseconds, rest = divmod(_last, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    value = milliseconds << 80 | fraction << 64 | int.from_bytes(entropy, "big") & ((1 << 62) - 1) | _VERSION_AND_VARIANT
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


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
