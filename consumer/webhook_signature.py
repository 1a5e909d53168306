"""Signs webhooks as https://www.standardwebhooks.com wants it: HMAC-SHA256 of `id.timestamp.body`, once for each secret."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from shared.webhooks import secret_key


def signed_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a message. A receiver accepts it if any of the signatures is that of its secret.

    `message_id` is the same at every attempt, `timestamp` (Unix seconds) is that of this one.
    """
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_hmac(secret_key(secret), content)}" for secret in secrets),
    }


def _hmac(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode("ascii")
