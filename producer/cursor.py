"""Page cursors: the last id of a page with a check sum, so that a damaged or invented one is refused instead of obeyed."""

import base64
import binascii
import hashlib
import uuid

from producer.problems import ProblemError


def encode(last_id: str) -> str:
    """Return the cursor for the page after `last_id`."""
    raw = uuid.UUID(last_id).bytes
    return base64.urlsafe_b64encode(raw + _sum(raw)).decode()


def decode(cursor: str) -> str:
    """Return the id in `cursor`. Raises ProblemError (400) if it is not one of ours."""
    try:
        data = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != 24 or _sum(data[:16]) != data[16:]:
        raise ProblemError(400, "the cursor is not one that this API has given out")
    return str(uuid.UUID(bytes=data[:16]))


def _sum(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=8, person=b"ms-cursor").digest()
