"""Pictures: opened with suspicion, resized, and encoded again without anything that they carried beside their pixels.

Pillow is loaded at first use. What it is given decides how much memory it takes, so sizes are checked from the header, before
a single pixel is decoded, and only four decoders may be chosen at all.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from consumer.picture_modes import as_srgb, for_format
from shared.errors import PermanentFailure

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Fit", "Format", "Resized", "Wish", "resized"]

MAX_PIXELS = 50_000_000  # 200 MB decoded; the result is bound by it too
MAX_SIDE = 10_000

Fit = Literal["contain", "cover", "fill", "inside", "pad"]
Format = Literal["jpeg", "png", "webp", "gif"]

# A picture of a camera with several in one file says MPO; its first is a JPEG.
_FORMATS: dict[str, Format] = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
_DECODERS = ("JPEG", "PNG", "WEBP", "GIF")
_DEFAULT_QUALITY = {"jpeg": 85, "webp": 80}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the picture should become. Without `width` or `height` that side follows from the other."""

    width: int | None
    height: int | None
    fit: Fit = "contain"
    format: Format | None = None  # None: that of the source
    quality: int | None = None  # 1 to 100, for jpeg and webp


@dataclass(frozen=True)
class Resized:
    """What it became."""

    content: bytes
    format: Format
    width: int
    height: int


def resized(source: bytes, wish: Wish) -> Resized:
    """Decode, resize, encode. Raises PermanentFailure for what is no picture, too large a one, or broken.

    Of an animation the first frame is taken. The picture is turned as its EXIF says, its colours become sRGB, and EXIF, profile,
    comments and the like stay behind.
    """
    image = _opened(source)
    chosen = wish.format or _FORMATS[str(image.format)]
    image = as_srgb(_upright(_decoded(image, wish)))
    width, height = target_size(image.size, wish)
    image = for_format(_FITS[wish.fit](image, (width, height)), chosen)
    return Resized(_encoded(image, chosen, wish.quality), chosen, *image.size)


def target_size(size: tuple[int, int], wish: Wish) -> tuple[int, int]:
    """Return the size that results from `wish` for a picture of that size; at least one pixel each way."""
    width, height = _box(size, wish)
    if wish.fit in {"contain", "inside"} and wish.width and wish.height:
        scale = min(width / size[0], height / size[1])
        width, height = round(size[0] * scale), round(size[1] * scale)
    if wish.fit == "inside" and (width > size[0] or height > size[1]):
        width, height = size
    width, height = max(1, width), max(1, height)
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise PermanentFailure(f"the result would have {width} x {height} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS} are made")
    return width, height


def _box(size: tuple[int, int], wish: Wish) -> tuple[int, int]:
    if wish.width and wish.height:
        return wish.width, wish.height
    if wish.width:
        return wish.width, round(size[1] * wish.width / size[0])
    return round(size[0] * (wish.height or size[1]) / size[1]), wish.height or size[1]


def _opened(source: bytes) -> "Image":
    """Read the header only."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - 15 MB that most consumers never need

    try:
        image = Image.open(BytesIO(source), formats=_DECODERS)
    except UnidentifiedImageError:
        raise PermanentFailure("the source is no JPEG, PNG, WebP or GIF picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large("far more") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise PermanentFailure(f"the source cannot be read as a picture: {error}") from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(f"{image.width} x {image.height}")
    return image


def _too_large(pixels: str) -> PermanentFailure:
    return PermanentFailure(f"the source has {pixels} pixels, at most {MAX_PIXELS} are decoded")


def _decoded(image: "Image", wish: Wish) -> "Image":
    side = 2 * max(wish.width or 0, wish.height or 0)
    image.draft(None, (side, side))  # a JPEG much larger than that each way is decoded at a half, a quarter or an eighth
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise PermanentFailure(f"the source is broken or cut off: {error}") from error
    return image


def _upright(image: "Image") -> "Image":
    from PIL import ImageOps  # noqa: PLC0415

    with suppress(Exception):  # EXIF is whatever a stranger wrote; a picture whose EXIF is nonsense stays as it is stored
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _stretched(image: "Image", size: tuple[int, int]) -> "Image":
    from PIL import Image  # noqa: PLC0415

    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _cropped(image: "Image", size: tuple[int, int]) -> "Image":
    from PIL import Image  # noqa: PLC0415

    scale = max(size[0] / image.width, size[1] / image.height)
    wide, high = size[0] / scale, size[1] / scale
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    box = (left, top, left + wide, top + high)
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _padded(image: "Image", size: tuple[int, int]) -> "Image":
    from PIL import Image  # noqa: PLC0415

    scale = min(size[0] / image.width, size[1] / image.height)
    inner = _stretched(image, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    canvas.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    return canvas


_FITS: dict[Fit, Callable[["Image", tuple[int, int]], "Image"]] = {
    "contain": _stretched,  # `target_size` has kept the ratio
    "inside": _stretched,
    "fill": _stretched,
    "cover": _cropped,
    "pad": _padded,
}


def _encoded(image: "Image", chosen: Format, quality: int | None) -> bytes:
    options: dict[str, Any] = {}
    if chosen in _DEFAULT_QUALITY:
        options["quality"] = quality or _DEFAULT_QUALITY[chosen]
    if chosen == "jpeg":
        options["optimize"] = True
    image.info = {}  # some encoders would write what they find there
    buffer = BytesIO()
    image.save(buffer, chosen.upper(), **options)
    return buffer.getvalue()
