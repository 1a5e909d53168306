"""Pictures for tests: made, or written byte by byte where no library would write such a thing."""

import struct
import zlib
from base64 import b64encode
from io import BytesIO
from typing import Any

from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """Return the picture as a file."""
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def decoded(content: bytes) -> Image.Image:
    """Return the file as a picture, all of it read."""
    image = Image.open(BytesIO(content))
    image.load()
    return image


def quadrants(width: int = 40, height: int = 20) -> Image.Image:
    """A picture with red, green, blue and white from left to right and from top to bottom."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image


def data_url(content: bytes, media_type: str = "image/png") -> str:
    """Return the file as a URL."""
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def png_that_says(width: int, height: int) -> bytes:
    """A small file whose header promises that many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG_MAGIC + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b"")


def webp_that_says(width: int, height: int) -> bytes:
    """Just so, as WebP."""
    header = b"VP8X" + struct.pack("<II", 10, 0x10) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + header + encoded(Image.new("RGBA", (8, 8)), "WEBP", lossless=True)[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_that_says(width: int, height: int) -> bytes:
    """Just so, as GIF."""
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + frame


def jpeg_that_says(width: int, height: int) -> bytes:
    """Just so, as JPEG."""
    content = bytearray(encoded(Image.new("L", (8, 8)), "JPEG"))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
