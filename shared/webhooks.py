"""What producer and consumer both have to know of webhooks."""

import base64

DELIVERY_TYPE = "webhook.deliver"  # made by the trigger `webhooks` when a job with a webhook_url ends; nobody may submit it
SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins


def secret_key(secret: str) -> bytes:
    """Return the key in `whsec_<base64 of 24 to 64 bytes>`. Raises ValueError for anything else."""
    encoded = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if encoded == secret or not 24 <= len(key) <= 64:
        raise ValueError("each must be whsec_ and then 24 to 64 random bytes in base64")
    return key
