"""Artifacts in a folder and in a bucket: whole or absent, within their limits, and gone when they are deleted."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import obstore
import pytest

from shared.artifacts import Artifacts
from shared.errors import ArtifactMissingError, ArtifactRefusedError, ArtifactsUnavailableError
from shared.ids import new_id
from shared.settings import Settings
from tests.support.s3_server import BUCKET, S3Server, s3_server

MAKERS = ("folder", "bucket")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """One server for this file."""
    with s3_server() as server:
        yield server


@pytest.fixture(params=MAKERS)
def artifacts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifacts:
    """Artifacts of this test's own, in either kind of store."""
    if request.param == "folder":
        return Artifacts(Settings(output_dir=tmp_path / "output", max_artifact_bytes=1000))
    return Artifacts(Settings(artifacts_url=bucket(request, monkeypatch), max_artifact_bytes=1000))


def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a URL below which nothing is yet."""
    server: S3Server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{new_id()}"


async def test_what_is_put_can_be_got(artifacts: Artifacts, tmp_path: Path) -> None:
    """Bytes and files, blocking and not: each reads what the other wrote, by name, and nothing of other jobs."""
    job_id, other = new_id(), new_id()
    source = tmp_path / "source.csv"
    source.write_bytes(b"a,b\r\n")
    made = [
        await artifacts.put_async(job_id, "b.bin", b"\0\1"),
        await artifacts.put_async(job_id, "c.csv", source),
        await asyncio.to_thread(artifacts.put, job_id, "a ä.txt", b""),
    ]
    await artifacts.put_async(other, "other", b"x")
    assert await artifacts.list_async(job_id) == sorted(made, key=lambda item: item.name)
    assert await asyncio.to_thread(artifacts.list, job_id) == await artifacts.list_async(job_id)
    assert [item.bytes for item in made] == [2, 5, 0]
    assert await asyncio.to_thread(artifacts.get, job_id, "b.bin") == b"\0\1"
    assert await artifacts.get_async(job_id, "c.csv") == b"a,b\r\n"
    assert await artifacts.get_async(job_id, "a ä.txt") == b""


async def test_a_repeated_attempt_overwrites_its_own(artifacts: Artifacts) -> None:
    """The second put wins, and can be told from the first."""
    job_id = new_id()
    await artifacts.put_async(job_id, "a", b"first")
    before = await artifacts.find_async(job_id, "a")
    await artifacts.put_async(job_id, "a", b"second!")
    after = await artifacts.find_async(job_id, "a")
    assert await artifacts.get_async(job_id, "a") == b"second!"
    assert (before.artifact.bytes, after.artifact.bytes) == (5, 7)
    assert before.version != after.version
    with pytest.raises(ArtifactsUnavailableError):
        _ = [chunk async for chunk in artifacts.chunks_async(job_id, before, 0, 5)]


async def test_what_is_not_there(artifacts: Artifacts) -> None:
    """Getting is an error of its own, listing is empty, deleting has nothing to do: before the first put, and after it."""
    for _ in range(2):
        job_id = new_id()
        for act in (artifacts.get_async, artifacts.find_async):
            with pytest.raises(ArtifactMissingError):
                await act(job_id, "a")
        with pytest.raises(ArtifactMissingError):
            await asyncio.to_thread(artifacts.get, job_id, "a")
        assert await artifacts.list_async(job_id) == []
        await artifacts.delete_async(job_id, "a")
        await asyncio.to_thread(artifacts.delete, job_id, "a")
        await artifacts.put_async(new_id(), "a", b"x")


async def test_deleted_is_deleted(artifacts: Artifacts) -> None:
    """Only what was named goes."""
    job_id = new_id()
    for name in ("a", "b", "c"):
        await artifacts.put_async(job_id, name, b"x")
    await artifacts.delete_async(job_id, "a")
    await asyncio.to_thread(artifacts.delete, job_id, "c")
    assert [item.name for item in await artifacts.list_async(job_id)] == ["b"]


async def test_the_size_limit_from_both_sides(artifacts: Artifacts, tmp_path: Path) -> None:
    """An artifact of exactly the limit is kept; one more byte, in memory or in a file, fails for good and leaves nothing."""
    job_id = new_id()
    assert (await artifacts.put_async(job_id, "fits", b"x" * 1000)).bytes == 1000
    large = tmp_path / "large"
    large.write_bytes(b"x" * 1001)
    for data in (b"x" * 1001, large):
        with pytest.raises(ArtifactRefusedError, match="MILLSTREAM_MAX_ARTIFACT_BYTES"):
            await artifacts.put_async(job_id, "large", data)
        with pytest.raises(ArtifactRefusedError):
            await asyncio.to_thread(artifacts.put, job_id, "large", data)
    assert [item.name for item in await artifacts.list_async(job_id)] == ["fits"]
    assert await artifacts.get_async(job_id, "fits", max_bytes=1000) == b"x" * 1000
    for get in (artifacts.get, lambda *args: asyncio.run(artifacts.get_async(*args))):
        with pytest.raises(ArtifactRefusedError, match="at most 999"):
            await asyncio.to_thread(get, job_id, "fits", 999)


async def test_parts_of_a_large_one(artifacts: Artifacts, tmp_path: Path, settings: Settings) -> None:
    """An artifact of several parts arrives unharmed, and any of its bytes can be had alone."""
    del settings
    artifacts._max_bytes = 1 << 30
    job_id, content = new_id(), os.urandom(1 << 20) * 34  # more than two parts of 16 MiB
    source = tmp_path / "large"
    source.write_bytes(content)
    await artifacts.put_async(job_id, "large", source)
    found = await artifacts.find_async(job_id, "large")
    assert found.artifact.bytes == len(content)
    assert await artifacts.get_async(job_id, "large") == content
    middle = [chunk async for chunk in artifacts.chunks_async(job_id, found, 17_000_000, 18_000_000)]
    assert b"".join(middle) == content[17_000_000:18_000_000]
    whole = [len(chunk) async for chunk in artifacts.chunks_async(job_id, found, 0, len(content))]
    assert sum(whole) == len(content)
    assert max(whole) < 20_000_000, "streamed, not at once"


@pytest.mark.parametrize("artifacts", ["folder"], indirect=True)  # S3 promises it, and the server that stands in for it here cannot
def test_nobody_ever_sees_half_of_one(artifacts: Artifacts) -> None:
    """Rivals overwrite one artifact again and again; every read meanwhile is one of theirs, whole."""
    artifacts._max_bytes = 1 << 30
    job_id = new_id()
    versions = [bytes([letter]) * 300_000 for letter in b"abc"]
    artifacts.put(job_id, "x", versions[0])
    ended = threading.Event()
    threads = [threading.Thread(target=_overwrite, args=(artifacts, job_id, version, ended)) for version in versions]
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            assert artifacts.get(job_id, "x") in versions
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert [item.name for item in artifacts.list(job_id)] == ["x"]


def _overwrite(artifacts: Artifacts, job_id: str, content: bytes, ended: threading.Event) -> None:
    while not ended.is_set():
        artifacts.put(job_id, "x", content)


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file stands where the folder should be: an outage with a hint, which passes once somebody has mended it."""
    (tmp_path / "output").write_text("in the way")
    artifacts = Artifacts(Settings(output_dir=tmp_path / "output"))
    for put in (artifacts.put_async, lambda *args: asyncio.to_thread(artifacts.put, *args)):
        with pytest.raises(ArtifactsUnavailableError) as caught:
            await put(new_id(), "a", b"x")
        assert "MILLSTREAM_OUTPUT_DIR" in caught.value.hint
    (tmp_path / "output").unlink()
    assert (await artifacts.put_async(new_id(), "a", b"x")).bytes == 1


async def test_a_folder_that_is_taken_away(tmp_path: Path) -> None:
    """The same while it is in use: each call says so, none hangs, and the next one works when the folder is back."""
    artifacts, job_id = Artifacts(Settings(output_dir=tmp_path)), new_id()
    await artifacts.put_async(job_id, "a", b"x")
    (tmp_path / "artifacts").rename(tmp_path / "aside")
    (tmp_path / "artifacts").write_text("in the way")
    with pytest.raises(ArtifactsUnavailableError):
        await artifacts.put_async(job_id, "b", b"x")
    with pytest.raises(ArtifactsUnavailableError):
        await artifacts.get_async(job_id, "a")
    (tmp_path / "artifacts").unlink()
    (tmp_path / "aside").rename(tmp_path / "artifacts")
    assert await artifacts.get_async(job_id, "a") == b"x"


async def test_reading_makes_no_folder(tmp_path: Path) -> None:
    """The producer only reads, maybe from a volume that it may not write to."""
    artifacts = Artifacts(Settings(output_dir=tmp_path / "none"))
    assert await artifacts.list_async(new_id()) == []
    assert not (tmp_path / "none").exists()


async def test_a_folder_by_url(tmp_path: Path) -> None:
    """file:/// names any folder; percent signs are what they are in URLs."""
    artifacts, job_id = Artifacts(Settings(artifacts_url=f"file://{tmp_path}/with%20space")), new_id()
    await artifacts.put_async(job_id, "a", b"x")
    assert (tmp_path / "with space" / job_id / "a").read_bytes() == b"x"


@pytest.mark.parametrize("call", [lambda a: a.get(new_id(), "a"), lambda a: a.put(new_id(), "a", b"x"), lambda a: a.list(new_id())])
def test_a_bucket_that_is_away(call: Callable[[Artifacts], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An outage is an error that may pass, in one line and within seconds; the key is not in it."""
    with s3_server() as server:
        environment = server.environment
    for name, value in (environment | {"AWS_SECRET_ACCESS_KEY": "very-secret"}).items():
        monkeypatch.setenv(name, value)
    artifacts = Artifacts(replace(Settings(output_dir=tmp_path), artifacts_url=f"s3://{BUCKET}/x"))
    with pytest.raises(ArtifactsUnavailableError) as caught:
        call(artifacts)
    assert "very-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_bucket_tells_media_types(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads the bucket without us finds the right one there."""
    artifacts, job_id = Artifacts(Settings(artifacts_url=bucket(request, monkeypatch))), new_id()
    await artifacts.put_async(job_id, "a.pdf", b"x")
    got = await obstore.get_async(artifacts.store.open(), f"{job_id}/a.pdf")
    assert got.attributes["Content-Type"] == "application/pdf"
