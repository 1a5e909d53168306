"""The stream of dead letters: read, counted, and cleared. Who adds to it is `Broker.bury`."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from shared.models import Placed
from shared.redis_client import CHUNK, chunks, translated

NEWEST_CHUNKS = 5


class LetterStream:
    """Raises BrokerUnavailableError when Redis cannot be reached or refuses."""

    def __init__(self, client: Any, key: str) -> None:
        self._client = client
        self._key = key

    async def missing(self, places: Mapping[str, str]) -> dict[str, str]:
        """Of these places, by job id, those that hold no letter of their job; after a loss another's may be at the very same place."""
        async with self._client.pipeline(transaction=False) as pipe:
            for place in places.values():
                pipe.xrange(self._key, place, place)
            with translated():
                found = await pipe.execute()
        held = {job_id for job_id, entries in zip(places, found, strict=True) for _, fields in entries if _text(fields, b"id") == job_id}
        return {job_id: place for job_id, place in places.items() if job_id not in held}

    async def count(self) -> int:
        """How many letters the DLQ stream holds."""
        with translated():
            return int(await self._client.xlen(self._key))

    async def all(self, after: str = "-") -> AsyncIterator[Placed]:
        """Every letter in the DLQ stream: all, or those behind a place or from a time in ms on."""
        last = f"({after}" if "-" in after[1:] else after
        while True:
            with translated():
                page = await self._client.xrange(self._key, last, "+", count=CHUNK)
            for place, fields in page:
                yield Placed(place.decode(), _text(fields, b"id"), _number(fields.get(b"attempts")), _text(fields, b"reason"))
            if len(page) < CHUNK:
                return
            last = f"({page[-1][0].decode()}"

    async def newest_places(self, job_ids: Collection[str]) -> list[str]:
        """Places of these jobs' letters among the newest few thousand: one whose place is not noted yet has only just been added."""
        places: list[str] = []
        last = "+"
        for _ in range(NEWEST_CHUNKS):
            with translated():
                page = await self._client.xrevrange(self._key, last, "-", count=CHUNK)
            places += [place.decode() for place, fields in page if _text(fields, b"id") in job_ids]
            if len(page) < CHUNK or len(places) >= len(job_ids):
                break
            last = f"({page[-1][0].decode()}"
        return places

    async def forget(self, places: Sequence[str]) -> None:
        """Remove letters from the DLQ stream."""
        with translated():
            for chunk in chunks(places):
                await self._client.xdel(self._key, *chunk)


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _number(raw: bytes | None) -> int:
    return int(raw) if raw is not None and raw.isdigit() else 0
