"""The files of a job over HTTP: whole, in parts, unchanged, missing, and with names that lead nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from shared.artifacts import Artifacts, Found
from shared.errors import ArtifactsUnavailableError
from shared.ids import new_id
from shared.settings import Settings
from tests.support.producer import Api, client, running
from tests.support.s3_server import BUCKET, S3Server, s3_server

CONTENT = bytes(range(256)) * 5000  # several chunks
NAME = "Bericht März (1).pdf"


@pytest.fixture
async def kept(api: Api, settings: Settings) -> tuple[str, Artifacts]:
    """A job with an artifact, and the store that the consumer would write to."""
    artifacts, job_id = Artifacts(settings), await api.submitted()
    await artifacts.put_async(job_id, NAME, CONTENT)
    return job_id, artifacts


def path(job_id: str, name: str = NAME) -> str:
    return f"/jobs/{job_id}/artifacts/{quote(name)}"


async def test_the_list(api: Api, kept: tuple[str, Artifacts]) -> None:
    """Every file with its size, media type and address, which works as it stands; none for a job that made none."""
    job_id, artifacts = kept
    await artifacts.put_async(job_id, "a.csv", b"a")
    answer = await api.get(f"/jobs/{job_id}/artifacts")
    assert answer.json == {
        "id": job_id,
        "artifacts": [
            {"name": NAME, "bytes": len(CONTENT), "content_type": "application/pdf", "url": path(job_id)},
            {"name": "a.csv", "bytes": 1, "content_type": "text/csv; charset=utf-8", "url": path(job_id, "a.csv")},
        ],
    }
    assert (await api.get(answer.json["artifacts"][1]["url"])).body == b"a"
    assert (await api.get(f"/api/v1/jobs/{job_id}/artifacts")).json == answer.json
    assert (await api.get(f"/jobs/{await api.submitted()}/artifacts")).json["artifacts"] == []


async def test_a_file_as_it_is(api: Api, kept: tuple[str, Artifacts]) -> None:
    """Its bytes, and headers that make a browser keep it and never run it."""
    answer = await api.get(path(kept[0]))
    assert answer.status == 200
    assert answer.body == CONTENT
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"Bericht M_rz (1).pdf\"; filename*=UTF-8''Bericht%20M%C3%A4rz%20%281%29.pdf"
    )
    head = await api.call("HEAD", path(kept[0]))
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    assert head.headers["ETag"] == answer.headers["ETag"]


async def test_an_empty_file(api: Api, kept: tuple[str, Artifacts]) -> None:
    """Nothing is something, too."""
    await kept[1].put_async(kept[0], "empty.txt", b"")
    answer = await api.get(path(kept[0], "empty.txt"))
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")


async def test_what_has_not_changed_is_not_sent(api: Api, kept: tuple[str, Artifacts]) -> None:
    """304 for who has this version; after it was overwritten, the new one."""
    job_id, artifacts = kept
    tag = (await api.get(path(job_id))).headers["ETag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = await api.get(path(job_id), headers={"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    await artifacts.put_async(job_id, NAME, b"new")
    answer = await api.get(path(job_id), headers={"If-None-Match": tag})
    assert (answer.status, answer.body) == (200, b"new")
    assert answer.headers["ETag"] != tag


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=1279999-", 1_279_999, 1_280_000),
        ("bytes=-5", 1_279_995, 1_280_000),
        ("bytes=-9999999", 0, 1_280_000),
        ("bytes=10-9999999", 10, 1_280_000),
    ],
)
async def test_a_part(api: Api, kept: tuple[str, Artifacts], wanted: str, start: int, end: int) -> None:
    """206 with the bytes that were asked for, as far as there are any."""
    answer = await api.get(path(kept[0]), headers={"Range": wanted})
    assert answer.status == 206
    assert answer.body == CONTENT[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


async def test_a_part_behind_the_end(api: Api, kept: tuple[str, Artifacts]) -> None:
    """416, which says how much there is."""
    answer = await api.get(path(kept[0]), headers={"Range": f"bytes={len(CONTENT)}-"})
    answer.problem(416)
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("wanted", ["bytes=5-1", "bytes=0-1,5-6", "lines=1-2", "bytes=", "bytes=" + "9" * 5000 + "-", "nonsense"])
async def test_a_range_that_is_not_understood_is_ignored(api: Api, kept: tuple[str, Artifacts], wanted: str) -> None:
    """As RFC 9110 has it: then everything is sent."""
    answer = await api.get(path(kept[0]), headers={"Range": wanted})
    assert (answer.status, len(answer.body)) == (200, len(CONTENT))


async def test_a_part_of_another_version_is_all_of_this_one(api: Api, kept: tuple[str, Artifacts]) -> None:
    """If-Range: whoever goes on with a download must not mix two files."""
    tag = (await api.get(path(kept[0]))).headers["ETag"]
    for known, status in ((tag, 206), ('"other"', 200)):
        answer = await api.get(path(kept[0]), headers={"Range": "bytes=5-", "If-Range": known})
        assert answer.status == status


@pytest.mark.parametrize(
    "name",
    ["none.pdf", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e", "..", "a%00b", "a%5cb", "%ff", "a" * 300, "%E2%80%AEgpj.exe", "a%0d%0ab", ".tmp"],
)
async def test_a_name_that_is_none(api: Api, kept: tuple[str, Artifacts], name: str) -> None:
    """404, wherever it wanted to lead; never a file from elsewhere."""
    async with api.session.get(URL(f"{_base(api)}/jobs/{kept[0]}/artifacts/{name}", encoded=True)) as response:
        body = await response.read()
    assert response.status == 404, body
    assert b"root:" not in body


def _base(api: Api) -> str:
    return str(api.session._base_url).rstrip("/")


async def test_a_job_that_is_none(api: Api, kept: tuple[str, Artifacts]) -> None:
    """404 for an unknown job, for what is no id, and for another job's file."""
    for job_id in (new_id(), "x", "..%2f" + kept[0], await api.submitted()):
        (await api.get(path(job_id))).problem(404)
    for job_id in (new_id(), "x"):
        (await api.get(f"/jobs/{job_id}/artifacts")).problem(404)


async def test_other_methods(api: Api, kept: tuple[str, Artifacts]) -> None:
    """405: only jobs write files."""
    for method in ("PUT", "POST", "DELETE"):
        assert (await api.call(method, path(kept[0]))).problem(405)
    assert (await kept[1].get_async(kept[0], NAME)) == CONTENT


@pytest.fixture
async def in_a_bucket(settings: Settings, catalog: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Api, Artifacts, S3Server]]:
    """A producer whose artifacts are in a bucket."""
    del catalog
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        object.__setattr__(settings, "artifacts_url", f"s3://{BUCKET}/all")
        async with running(settings), client(settings) as api:
            yield api, Artifacts(settings), server


async def test_files_of_a_bucket(in_a_bucket: tuple[Api, Artifacts, S3Server]) -> None:
    """The same calls, whole and in part; 503 without a traceback when the bucket is away."""
    api, artifacts, server = in_a_bucket
    job_id = await api.submitted()
    await artifacts.put_async(job_id, NAME, CONTENT)
    answer = await api.get(path(job_id))
    assert (answer.status, answer.body) == (200, CONTENT)
    assert (await api.get(path(job_id), headers={"If-None-Match": answer.headers["ETag"]})).status == 304
    assert (await api.get(path(job_id), headers={"Range": "bytes=7-9"})).body == CONTENT[7:10]
    assert [item["name"] for item in (await api.get(f"/jobs/{job_id}/artifacts")).json["artifacts"]] == [NAME]
    (await api.get(path(job_id, "none"))).problem(404)
    await asyncio.to_thread(server.stop)
    for away in (path(job_id), f"/jobs/{job_id}/artifacts"):
        answer = await api.get(away)
        assert "artifacts" in answer.problem(503)["detail"]
        assert answer.headers["Retry-After"]
    assert (await api.submit()).status == 202, "jobs are accepted all the same"


async def test_a_client_that_goes_half_way(
    api: Api,
    kept: tuple[str, Artifacts],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is no error of ours, and the file is read no further."""
    job_id, artifacts = kept
    await artifacts.put_async(job_id, "large", bytes(40 << 20))  # more than sockets hold
    ended = asyncio.Event()
    whole = Artifacts.chunks_async

    async def watched(self: Artifacts, *args: Any) -> AsyncIterator[bytes]:
        try:
            async for chunk in whole(self, *args):
                yield chunk
        finally:
            ended.set()

    monkeypatch.setattr(Artifacts, "chunks_async", watched)
    reader, writer = await asyncio.open_connection(settings.host, settings.port)
    writer.write(f"GET {path(job_id, 'large')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    await asyncio.wait_for(ended.wait(), 10)
    assert (await api.get(path(job_id))).body == CONTENT
    assert "request_failed" not in capsys.readouterr().out


async def test_a_store_that_fails_half_way(api: Api, kept: tuple[str, Artifacts], monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks before the last byte: nobody takes half a file for a whole one."""
    whole = Artifacts.chunks_async

    async def broken(self: Artifacts, job_id: str, found: Found, start: int, end: int) -> AsyncIterator[bytes]:
        async for chunk in whole(self, job_id, found, start, end):
            yield chunk[:1000]
            raise ArtifactsUnavailableError("the disk fails")

    monkeypatch.setattr(Artifacts, "chunks_async", broken)
    with pytest.raises(aiohttp.ClientError):
        await api.get(path(kept[0]))
    monkeypatch.undo()
    assert (await api.get(path(kept[0]))).body == CONTENT
