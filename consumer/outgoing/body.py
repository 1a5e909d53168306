"""The body of an answer, decompressed here step by step: a bomb of a few kilobytes stops where `max_bytes` ends."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

from consumer.outgoing.errors import FetchError, TooLargeError

__all__ = ["ACCEPTED", "read_body"]

ACCEPTED = "gzip, deflate"
_STEP_BYTES = 256 * 1024  # as much is decompressed before others may run
_GZIP, _ZLIB, _RAW = 31, 15, -15  # window sizes that tell zlib which header to expect


async def read_body(chunks: AsyncIterator[bytes], coding: str, max_bytes: int) -> bytes:
    """Return the whole body. Raises TooLargeError beyond `max_bytes`, FetchError when it is not what `coding` says."""
    decoder = _decoder(coding)
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        for part in decoder.feed(chunk):
            size += len(part)
            if size > max_bytes:
                raise TooLargeError(f"the answer has more than {max_bytes} bytes")
            parts.append(part)
            await asyncio.sleep(0)
    decoder.end()
    return b"".join(parts)


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def end(self) -> None:
        pass


class _Compressed:
    """gzip (in several members, too), or deflate with and without the header that it ought to have."""

    def __init__(self, coding: str) -> None:
        self._is_gzip = coding != "deflate"
        self._zlib = zlib.decompressobj(_GZIP if self._is_gzip else _ZLIB)
        self._has_begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._zlib.eof:
                if not self._is_gzip:
                    raise FetchError("the answer goes on after its end")
                self._zlib = zlib.decompressobj(_GZIP)
            part = self._decompressed(data)
            data = self._zlib.unconsumed_tail or self._zlib.unused_data
            yield part

    def _decompressed(self, data: bytes) -> bytes:
        try:
            part = self._zlib.decompress(data, _STEP_BYTES)
        except zlib.error as error:
            if self._is_gzip or self._has_begun:
                raise FetchError(f"the answer cannot be decompressed: {error}") from None
            self._zlib = zlib.decompressobj(_RAW)
            self._has_begun = True
            return self._decompressed(data)
        self._has_begun = True
        return part

    def end(self) -> None:
        if self._has_begun and not self._zlib.eof:
            raise FetchError("the answer ended before its time")


def _decoder(coding: str) -> _Plain | _Compressed:
    match coding.strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip" | "deflate" as known:
            return _Compressed(known)
        case other:
            raise FetchError(f"the answer is encoded as {other[:40]!r}, which nobody asked for")
