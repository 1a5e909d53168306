"""`image.resize`: a picture in another size or format, as an artifact."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from consumer.artifact_access import artifacts_of
from consumer.images import MAX_SIDE, Fit, Format, Wish, resized
from consumer.sources import ArtifactSource, bytes_of
from shared.jobs import Context, PermanentFailure, job

MAX_SOURCE_BYTES = 20 * 1024 * 1024
TIMEOUT_SECONDS = 120.0

_SOURCE = r"^(artifact:|[hH][tT][tT][pP][sS]?://|[dD][aA][tT][aA]:)"  # a schema knows no flag for it
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]


class Resize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which picture, and how large. One of `width` and `height` is enough: the other follows."""

    source: ArtifactSource | Annotated[str, Meta(pattern=_SOURCE)]
    width: Side | None = None
    height: Side | None = None
    fit: Fit = "contain"
    format: Format | None = None
    quality: Annotated[int, Meta(ge=1, le=100)] | None = None


@job("image.resize", aliases=("resizeImage",), executor="process", timeout=TIMEOUT_SECONDS)
def resize(ctx: Context, payload: Resize) -> dict[str, Any]:
    """Keep the resized picture as artifact `image.<format>`; return its reference, width, height, bytes and format."""
    if payload.width is None and payload.height is None:
        raise PermanentFailure("one of width and height is needed")
    wish = Wish(width=payload.width, height=payload.height, fit=payload.fit, format=payload.format, quality=payload.quality)
    made = resized(bytes_of(ctx, payload.source, MAX_SOURCE_BYTES), wish)
    kept = artifacts_of(ctx).put(ctx.job_id, f"image.{made.format}", made.content)
    return {"artifact": kept.as_dict(), "width": made.width, "height": made.height, "bytes": kept.bytes, "format": made.format}
