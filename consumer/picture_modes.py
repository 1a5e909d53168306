"""The kinds of pixels there are (palette, grey, 16 bits, CMYK, ...) brought down to the few that are resized and encoded."""

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["as_srgb", "for_format"]

_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # grey of 16 bits, however Pillow holds it


def as_srgb(image: "Image") -> "Image":
    """Return the picture as L, LA, RGB or RGBA with 8 bits a channel, its colours moved from its own profile to sRGB."""
    profile = image.info.get("icc_profile")
    image = _plain(image) if image.mode != "CMYK" or not profile else image
    if profile:
        image = _without_profile(image, profile)
    return image.convert("RGB") if image.mode == "CMYK" else image


def for_format(image: "Image", chosen: str) -> "Image":
    """Return the picture as that format can hold it: JPEG knows no transparency, so that becomes white."""
    if chosen != "jpeg" or image.mode in {"L", "RGB"}:
        return image
    from PIL import Image  # noqa: PLC0415

    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _plain(image: "Image") -> "Image":
    if image.mode in _DEEP:
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        return image if image.mode == "LA" else image.convert("RGBA")
    if image.mode in {"1", "L"}:
        return image.convert("L")
    return image if image.mode in {"RGB", "CMYK"} else image.convert("RGB")


def _without_profile(image: "Image", profile: bytes) -> "Image":
    """A profile that cannot be understood, or that is not for these channels, is ignored: better odd colours than no picture."""
    from PIL import ImageCms  # noqa: PLC0415

    try:
        own, srgb = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, own, srgb, outputMode="RGBA" if image.mode == "RGBA" else "RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
