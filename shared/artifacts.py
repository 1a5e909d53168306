"""Artifacts: files that jobs make, in a local folder or a bucket, read back over HTTP or by other jobs.

For handlers: `ctx.resources["artifacts"].put(ctx.job_id, "table.csv", data)`, or `await ....put_async(...)` in an async one. A second
put under one name replaces the first, and nobody ever sees half of either: an attempt that is repeated overwrites its own.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.artifact import Artifact, artifact, content_type, key
from shared.artifact_store import ArtifactStore, translated
from shared.errors import ArtifactMissingError, ArtifactRefusedError
from shared.settings import Settings

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta
    from obstore.store import LocalStore, S3Store

__all__ = ["Artifacts", "Found"]

_PART_BYTES = 16 * 1024 * 1024  # larger ones go to S3 in parts
_PARTS_AT_ONCE = 2
_CHUNK_BYTES = 256 * 1024


class Found(NamedTuple):
    """An artifact that is there, as it is right now."""

    artifact: Artifact
    version: str | None  # the store's tag for this content, with its quotes; another one when it was overwritten
    modified_at: datetime


class Artifacts:
    """Puts, gets, lists and deletes. Cheap to make: the store is opened at first use. Safe to use from several threads.

    Every method raises ArtifactRefusedError for what can be no id or name, ArtifactsUnavailableError when the store fails.
    """

    def __init__(self, settings: Settings) -> None:
        self.store = ArtifactStore(settings)
        self._max_bytes = settings.max_artifact_bytes

    # Blocking, for handlers in threads and processes

    def put(self, job_id: str, name: str, data: bytes | Path) -> Artifact:
        """Keep `data`, or the file at that path, under this name. When this returns it is kept, whole."""
        import obstore  # noqa: PLC0415

        place, size = key(job_id, name), self._checked_size(name, data)
        store = self.store.open(writing=True)
        with translated(place):
            obstore.put(store, place, data, **self._how(name))
            self._sync(place)
        return artifact(job_id, name, size)

    def get(self, job_id: str, name: str, max_bytes: int | None = None) -> bytes:
        """Return the whole artifact. Raises ArtifactMissingError; ArtifactRefusedError when it has more than `max_bytes`."""
        import obstore  # noqa: PLC0415

        place = key(job_id, name)
        store = self.store.open()
        with translated(place):
            got = obstore.get(store, place)
            return bytes(_at_most(max_bytes, got, place).bytes())

    def list(self, job_id: str) -> list[Artifact]:
        """Return the artifacts of a job by name, none for a job that made none."""
        import obstore  # noqa: PLC0415

        prefix = _prefix(job_id)
        try:
            store = self.store.open()
            with translated(prefix):
                return _listed(job_id, obstore.list(store, prefix).collect())
        except ArtifactMissingError:
            return []

    def delete(self, job_id: str, name: str) -> None:
        """Remove an artifact; one that is not there is removed already."""
        import obstore  # noqa: PLC0415

        place = key(job_id, name)
        try:
            store = self.store.open()
            with translated(place):
                obstore.delete(store, place)
        except ArtifactMissingError:
            return

    # The same for async handlers and for the API. The library is loaded in a thread, by opening the store: not in the event loop.

    async def put_async(self, job_id: str, name: str, data: bytes | Path) -> Artifact:
        """Like `put`."""
        place, size = key(job_id, name), self._checked_size(name, data)
        store = await self._opened(writing=True)
        import obstore  # noqa: PLC0415

        with translated(place):
            await obstore.put_async(store, place, data, **self._how(name))
            await asyncio.to_thread(self._sync, place)
        return artifact(job_id, name, size)

    async def get_async(self, job_id: str, name: str, max_bytes: int | None = None) -> bytes:
        """Like `get`."""
        place = key(job_id, name)
        store = await self._opened()
        import obstore  # noqa: PLC0415

        with translated(place):
            got = await obstore.get_async(store, place)
            return bytes(await _at_most(max_bytes, got, place).bytes_async())

    async def list_async(self, job_id: str) -> Sequence[Artifact]:
        """Like `list`."""
        prefix = _prefix(job_id)
        try:
            store = await self._opened()
            import obstore  # noqa: PLC0415

            with translated(prefix):
                return _listed(job_id, await obstore.list(store, prefix).collect_async())
        except ArtifactMissingError:
            return []

    async def delete_async(self, job_id: str, name: str) -> None:
        """Like `delete`."""
        place = key(job_id, name)
        try:
            store = await self._opened()
            import obstore  # noqa: PLC0415

            with translated(place):
                await obstore.delete_async(store, place)
        except ArtifactMissingError:
            return

    async def find_async(self, job_id: str, name: str) -> Found:
        """Return what is known of an artifact without reading it. Raises ArtifactMissingError."""
        place = key(job_id, name)
        store = await self._opened()
        import obstore  # noqa: PLC0415

        with translated(place):
            meta = await obstore.head_async(store, place)
        return Found(artifact(job_id, name, meta["size"]), meta["e_tag"], meta["last_modified"])

    async def chunks_async(self, job_id: str, found: Found, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end` of what was found. An artifact that was overwritten since then is an error."""
        place = key(job_id, found.artifact.name)
        store = await self._opened()
        import obstore  # noqa: PLC0415

        with translated(place):
            got = await obstore.get_async(store, place, options={"range": (start, end), "if_match": found.version})
            async for chunk in got.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    # Shared by both

    async def _opened(self, *, writing: bool = False) -> "LocalStore | S3Store":
        if self.store.is_open:
            return self.store.open()
        return await asyncio.to_thread(self.store.open, writing=writing)

    def _checked_size(self, name: str, data: bytes | Path) -> int:
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        if size > self._max_bytes:
            raise ArtifactRefusedError(f"{name} has {size} bytes, an artifact at most {self._max_bytes} (MILLSTREAM_MAX_ARTIFACT_BYTES)")
        return size

    def _how(self, name: str) -> dict[str, Any]:
        how: dict[str, Any] = {"chunk_size": _PART_BYTES, "max_concurrency": _PARTS_AT_ONCE}
        # For those who read the bucket without us; a folder has no place for it.
        return how | ({"attributes": {"Content-Type": content_type(name)}} if self.store.folder is None else {})

    def _sync(self, place: str) -> None:
        """A job is COMPLETED after this: its file must outlive the machine's power."""
        if self.store.folder is None:
            return
        path = self.store.folder / place
        for thing in (path, path.parent, self.store.folder):
            descriptor = os.open(thing, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _prefix(job_id: str) -> str:
    return key(job_id, "x").removesuffix("/x")


def _at_most(max_bytes: int | None, got: "GetResult", place: str) -> "GetResult":
    if max_bytes is not None and got.meta["size"] > max_bytes:
        raise ArtifactRefusedError(f"the artifact {place} has {got.meta['size']} bytes, at most {max_bytes} are read")
    return got


def _listed(job_id: str, found: Sequence["ObjectMeta"]) -> list[Artifact]:
    return [artifact(job_id, meta["path"].rpartition("/")[2], meta["size"]) for meta in sorted(found, key=lambda meta: meta["path"])]
