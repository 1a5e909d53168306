"""Artifacts seen from outside, for keeping house: which jobs have any, and removing all that a job has."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.artifact_store import ArtifactStore, translated
from shared.errors import ArtifactMissingError
from shared.ids import parse_id

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

__all__ = ["ArtifactPlaces"]

_LISTED_AT_ONCE = 1000  # what one answer of S3 holds
_AFTER_SLASH = "0"  # the character after "/": a text that sorts behind all that is below a prefix


class ArtifactPlaces:
    """The places of one store. Raises ArtifactsUnavailableError when it fails."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    async def of_old_jobs(self, after: str, before: str, limit: int) -> dict[str, list[str]]:
        """Return up to `limit` job ids between `after` and `before` that have artifacts, the oldest, with the places of those in a bucket.

        Whatever else lies there and is named like no job is left alone.
        """
        if self._store.folder is not None:
            return await asyncio.to_thread(_folders, self._store.folder, after, before, limit)
        return await self._keys(after, before, limit)

    async def remove(self, found: Mapping[str, Sequence[str]]) -> None:
        """Remove what `of_old_jobs` found of these jobs."""
        if self._store.folder is not None:
            await asyncio.to_thread(_remove_folders, self._store.folder, sorted(found))
            return
        bucket = await self._bucket()
        import obstore  # noqa: PLC0415 - loaded in a thread, by opening the bucket

        if places := [place for job_id in sorted(found) for place in found[job_id]]:
            with translated("a page of old artifacts"):
                await obstore.delete_async(bucket, places)

    async def _keys(self, after: str, before: str, limit: int) -> dict[str, list[str]]:
        bucket = await self._bucket()
        import obstore  # noqa: PLC0415

        found: dict[str, list[str]] = {}
        with translated("the list of artifacts"):
            pages = obstore.list(bucket, offset=(after and after + _AFTER_SLASH) or None, chunk_size=_LISTED_AT_ONCE)
            async for page in pages:
                for meta in page:
                    job_id = meta["path"].partition("/")[0]
                    if job_id >= before or (len(found) == limit and job_id not in found):
                        return found
                    if parse_id(job_id) == job_id:
                        found.setdefault(job_id, []).append(meta["path"])
        return found

    async def _bucket(self) -> "LocalStore | S3Store":
        return await asyncio.to_thread(self._store.open)


def _folders(root: Path, after: str, before: str, limit: int) -> dict[str, list[str]]:
    try:
        with translated(str(root)):
            names = sorted(path.name for path in root.iterdir() if after < path.name < before and parse_id(path.name) == path.name)
    except ArtifactMissingError:
        return {}
    return {name: [] for name in names[:limit]}


def _remove_folders(root: Path, names: Sequence[str]) -> None:
    """With all that is in them: a killed attempt may have left an unfinished file, which no list shows."""
    for name in names:
        try:
            with translated(str(root / name)):
                shutil.rmtree(root / name)
        except ArtifactMissingError:
            continue  # another janitor was faster
