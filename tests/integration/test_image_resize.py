"""`image.resize` as a job: where pictures may come from, what the API refuses at once, and the way from a POST to the file."""

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from consumer import registry
from consumer.handlers.image_resize import MAX_SOURCE_BYTES
from consumer.runtime import Consumer
from producer.app import Producer
from shared.artifacts import Artifacts
from shared.errors import ArtifactMissingError, PermanentFailure, RetryAfter
from shared.ids import new_id
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.handler_context import HandlerContext, run_handler
from tests.support.pictures import data_url, decoded, encoded, quadrants
from tests.support.producer import Api, client

PNG = encoded(quadrants(), "PNG")


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def resize(folder: Path, job_id: str | None = None, **payload: Any) -> dict[str, Any]:
    """Run the handler; it finds settings alone, as in a child process."""
    context = HandlerContext(job_id=job_id or new_id(), resources={"settings": Settings(output_dir=folder)})
    result: dict[str, Any] = await run_handler("image.resize", payload, context)
    return result


async def test_the_result(tmp_path: Path) -> None:
    """A reference to the new picture, its size, its bytes and its format."""
    job_id = new_id()
    result = await resize(tmp_path, job_id, source=data_url(PNG), width=20, format="jpeg")
    written = (tmp_path / "artifacts" / job_id / "image.jpeg").read_bytes()
    assert decoded(written).size == (20, 10)
    assert result == {
        "artifact": {
            "name": "image.jpeg",
            "bytes": len(written),
            "content_type": "image/jpeg",
            "url": f"/jobs/{job_id}/artifacts/image.jpeg",
        },
        "width": 20,
        "height": 10,
        "bytes": len(written),
        "format": "jpeg",
    }


async def test_an_artifact_of_another_job_as_source(tmp_path: Path) -> None:
    """By reference or as text; pictures go from job to job without leaving the house."""
    first = new_id()
    await resize(tmp_path, first, source=data_url(PNG), width=30)
    for source in ({"job_id": first, "name": "image.png"}, f"artifact:{first}/image.png"):
        assert (await resize(tmp_path, source=source, width=10))["height"] == 5


async def test_an_artifact_that_is_not_there_yet(tmp_path: Path) -> None:
    """The job that makes it may still be running: an ordinary error, which is tried again."""
    with pytest.raises(ArtifactMissingError):
        await resize(tmp_path, source="artifact:01a2052c-6ede-7bcd-a329-6a90a5b3f7b8/image.png", width=10)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("data:image/png;base64,!!!!", "not base64"),
        ("data:image/png;base64,iVBORw0KGgo", "not base64"),
        ("data:image/png;base64,", "no JPEG, PNG, WebP or GIF"),
        ("data:image/png,%89PNG", "must look like"),
        ("data:" + "x" * 300 + ";base64,AAAA", "must look like"),
        ("data:image/png;base64,PGh0bWw+", "no JPEG, PNG, WebP or GIF"),
        ("artifact:../../etc/passwd", "no job id"),
        ("artifact:01a2052c-6ede-7bcd-a329-6a90a5b3f7b8/../../../etc/passwd", "no name"),
        ("artifact:01a2052c-6ede-7bcd-a329-6a90a5b3f7b8", "no name"),
        ({"job_id": "x", "name": "a"}, "no job id"),
        ({"job_id": new_id(), "name": "../a"}, "no name"),
        ("file:///etc/passwd", "regex"),
        ("/etc/passwd", "regex"),
        ("ftp://example.org/a.png", "regex"),
    ],
)
async def test_a_source_that_never_will_be_one(tmp_path: Path, source: Any, reason: str) -> None:
    """It fails for good, with the reason, and nothing is read or written."""
    with pytest.raises((PermanentFailure, msgspec.ValidationError), match=reason):
        await resize(tmp_path, source=source, width=10)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, None),
        (404, PermanentFailure),
        (403, PermanentFailure),
        (429, RetryAfter),
        (408, RetryAfter),
        (500, RetryAfter),
        (304, RetryAfter),
    ],
)
async def test_what_a_web_server_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, expected: type[Exception] | None
) -> None:
    """200 is a picture, a 4xx final unless the server means: later; everything else may pass."""
    asked = []

    def fetch_blocking(method: str, url: str, *, max_bytes: int, timeout: float) -> SimpleNamespace:
        asked.append((method, url, max_bytes, timeout > 0))
        return SimpleNamespace(status=status, body=PNG)

    monkeypatch.setitem(sys.modules, "consumer.outgoing", SimpleNamespace(fetch_blocking=fetch_blocking))
    url = "HTTPS://example.org/a.png"
    if expected is None:
        assert (await resize(tmp_path, source=url, width=10))["height"] == 5
    else:
        with pytest.raises(expected, match=f"answered {status}"):
            await resize(tmp_path, source=url, width=10)
    assert asked == [("GET", url, MAX_SOURCE_BYTES, True)]


async def test_the_source_limit_from_both_sides(tmp_path: Path) -> None:
    """20 MiB; a comment behind the picture makes it as long as one likes."""
    artifacts, job_id = Artifacts(Settings(output_dir=tmp_path)), new_id()
    await artifacts.put_async(job_id, "fits", PNG + bytes(MAX_SOURCE_BYTES - len(PNG)))
    await artifacts.put_async(job_id, "large", PNG + bytes(MAX_SOURCE_BYTES - len(PNG) + 1))
    assert (await resize(tmp_path, source=f"artifact:{job_id}/fits", width=10))["height"] == 5
    with pytest.raises(PermanentFailure, match=f"at most {MAX_SOURCE_BYTES}"):
        await resize(tmp_path, source=f"artifact:{job_id}/large", width=10)


async def test_one_side_is_needed(tmp_path: Path) -> None:
    """Neither width nor height: it fails for good."""
    with pytest.raises(PermanentFailure, match="one of width and height"):
        await resize(tmp_path, source=data_url(PNG))


async def test_what_the_api_refuses_at_once(api: Api) -> None:
    """Wrong sides, words and sources never become jobs; the limits from both sides, under the alias too."""

    async def status(**payload: Any) -> int:
        answer = await api.submit(type="resizeImage", payload={"source": "https://example.org/a.png", "width": 1} | payload)
        return answer.status

    for good in ({"width": 10_000, "height": 1}, {"quality": 1}, {"quality": 100}, {"fit": "pad"}, {"format": "gif"}, {"source": "DATA:x"}):
        assert await status(**good) == 202, good
    for bad in (
        {"width": 0},
        {"width": 10_001},
        {"height": -1},
        {"width": 1.5},
        {"quality": 0},
        {"quality": 101},
        {"fit": "stretch"},
        {"format": "tiff"},
        {"source": "file:///etc/passwd"},
        {"source": ""},
        {"source": {"job_id": "x"}},
        {"depth": 8},
    ):
        assert await status(**bad) == 422, bad


async def test_from_a_post_to_the_file(producer: Producer, settings: Settings) -> None:
    """A client posts two jobs, the second works on what the first made, and the file that it fetches is the picture."""
    del producer
    consumer = Consumer(settings, registry.load(settings))
    task = asyncio.create_task(consumer.run())
    try:
        async with client(settings) as api:
            await post_and_fetch(api)
    finally:
        consumer.stop()
        await task


async def post_and_fetch(api: Api) -> None:
    first = await api.submitted(type="image.resize", payload={"source": data_url(PNG), "width": 30, "format": "webp"})
    result = await completed(api, first)
    source = {"job_id": first, "name": result["artifact"]["name"]}
    result = await completed(api, await api.submitted(type="image.resize", payload={"source": source, "height": 5}))
    answer = await api.get(result["artifact"]["url"])
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")
    assert decoded(answer.body).size == (10, 5)
    assert len(answer.body) == result["bytes"]
    table = await api.submitted(type="csv.generate", payload={"rows": [{"a": 1}]})
    answer = await api.get((await completed(api, table))["artifact"]["url"])
    assert answer.body == b"a\r\n1\r\n"
    report = await api.submitted(type="report.generate", payload={"title": "T", "rows": [[1]]})
    answer = await api.get((await completed(api, report))["artifact"]["url"])
    assert answer.body.startswith(b"%PDF-")


async def completed(api: Api, job_id: str) -> dict[str, Any]:
    """Wait for the job's end, and return its result."""

    async def done() -> dict[str, Any]:
        job = await api.job(job_id)
        assert job["status"] == "COMPLETED", json.dumps(job)
        result: dict[str, Any] = job["result"]
        return result

    return await eventually(done, 20)
