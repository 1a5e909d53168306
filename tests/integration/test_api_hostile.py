"""Requests that are wrong below or beside their meaning: each gets a clear problem document, and neighbours notice nothing."""

import asyncio
import gzip
import json

import pytest

import producer.body
from shared.settings import Settings
from tests.integration.test_api_bulk import HOSTILE, stored
from tests.support.producer import Api
from tests.support.raw_http import exchange, open_wire, request

JSON = "Content-Type: application/json"
JOB = b'{"type": "test.noop"}'
PAYLOAD = b'{"type": "test.noop", "payload": {"a": %s}}'

MALFORMED = [
    b"", b" ", b"{", b"}", b'{"type": "test.noop"', JOB + b"}", JOB + b" x", JOB + JOB, b"{'type': 'test.noop'}", b'{"type": test}',
    b'{"type": "test.noop",}', b"\xef\xbb\xbf" + JOB, b"\xff\xfe", b"\x00", b'{"type": "\xff"}', b'{"type": "test.noop", "\xff": 1}',
    b'{"type": "\\ud800"}', b'{"type": "test.noop", "payload": {"a": "\\udc00 \\ud800"}}',
    PAYLOAD % b'"\xed\xa0\x80"', PAYLOAD % b"NaN", PAYLOAD % b"Infinity", PAYLOAD % b"01", PAYLOAD % b"1.",
    PAYLOAD % b"+1", PAYLOAD % b'"\x01"',
    PAYLOAD % (b"[" * 5000 + b"]" * 5000),
    PAYLOAD % (b"[" * 500_000 + b"]" * 500_000),
]  # fmt: skip
INVALID = [
    b"[" * 1_000_000, b"[" * 500_000 + b"]" * 500_000, b'{"a":' * 200_000,
    b"[]", b"null", b"5", b'"text"', b"true", b"{}", PAYLOAD % b'"\\u0000"', PAYLOAD % b"1e400000", PAYLOAD % b"-1e400000",
    PAYLOAD % (b"9" * 5000), b'{"type": "test.noop", "payload": {"\\u0000": 1}}', b'{"type": "test.noop", "delay": 1e400000}',
    b'{"type": "test.noop", "max_attempts": %s}' % (b"9" * 5000),
]  # fmt: skip


async def test_what_is_no_json_is_400(api: Api) -> None:
    """Malformed, truncated, of another encoding, or nested so deeply that nobody could read it."""
    for body in MALFORMED:
        (await api.post("/jobs", body)).problem(400)
    assert await stored(api) == 0


async def test_json_that_is_no_job_is_422(api: Api) -> None:
    """Well-formed, but PostgreSQL or a consumer could not hold it, or it is no object."""
    for body in INVALID:
        assert (await api.post("/jobs", body)).problem(422)["errors"], body[:80]
    assert await stored(api) == 0


async def test_a_lone_surrogate_among_good_jobs_is_named_by_its_index(api: Api) -> None:
    """It spoils the JSON of the whole array; the answer still says which job it is in, and nothing is stored."""
    good = '{"type": "test.noop"}'
    answer = await api.post("/jobs/bulk", f'[{good}, {{"type": "test.noop", "payload": {{"a": "\\ud800"}}}}, {good}]'.encode())
    [error] = answer.problem(422)["errors"]
    assert error["index"] == 1
    assert (await api.get("/jobs")).json["jobs"] == []


async def test_a_number_out_of_range_is_pointed_at(api: Api) -> None:
    """The pointer leads to the payload and is well-formed, although the decoder does not name the key."""
    [error] = (await api.post("/jobs", b'{"type": "test.noop", "payload": {"a": 1e400000}}')).problem(422)["errors"]
    assert error["pointer"] == "/payload"


async def test_a_lone_surrogate_is_called_by_its_name(api: Api) -> None:
    """`Input data was truncated` would send a person to look in the wrong place."""
    for text in (b'"\\ud800"', b'"\\uDFFF x"'):
        assert "surrogate" in (await api.post("/jobs", PAYLOAD % text)).problem(400)["detail"]


async def test_any_depth_is_either_stored_or_refused(api: Api) -> None:
    """Near the limit, where one step of the work succeeds and the next may not, with and without what is walked once more."""
    for depth in range(150, 1050, 25):
        for text in (b"1", b'"\\u0000"'):
            body = PAYLOAD % (b"[" * depth + text + b"]" * depth)
            answer = await api.post("/jobs", body, headers={"Idempotency-Key": f"{depth}{len(text)}"})
            assert answer.status in ({202, 400} if text == b"1" else {400, 422}), (depth, answer)


async def test_the_neighbours_of_a_bad_job_are_accepted(api: Api) -> None:
    """A hundred posts at one moment: one is refused, ninety-nine get their 202."""
    for bad in HOSTILE:
        bodies = [JOB] * 50 + [bad] + [JOB] * 49
        answers = await asyncio.gather(*(api.post("/jobs", body) for body in bodies))
        assert [answer.status for answer in answers].count(202) == 99, bad[:80]
        assert answers[50].status in {400, 422}
        answers[50].problem(answers[50].status)


async def test_a_job_of_more_than_a_mebibyte_is_too_large(api: Api, settings: Settings) -> None:
    """413 whether the size is announced, found out on the way, or hidden by compression; exactly 1 MiB is accepted."""
    shell = len(PAYLOAD % b'""')
    fits, large = (PAYLOAD % (b'"' + b"x" * (size - shell) + b'"') for size in (2**20, 2**20 + 1))
    assert (await api.post("/jobs", fits)).status == 202
    (await api.post("/jobs", large)).problem(413)
    (await api.post("/jobs", PAYLOAD % (b'"%s"' % (b"x" * 2 * 2**20)))).problem(413)
    (await api.post("/jobs", gzip.compress(large), headers={"Content-Encoding": "gzip"})).problem(413)
    chunked = b"100001\r\n" + large + b"\r\n0\r\n\r\n"
    (await exchange(settings.port, request("POST", "/jobs", JSON, "Transfer-Encoding: chunked", body=chunked))).problem(413)
    bomb = gzip.compress(b"x" * 64 * 2**20)
    (await api.post("/jobs", bomb, headers={"Content-Encoding": "gzip"})).problem(413)
    assert await stored(api) == 1


async def test_a_job_may_be_compressed(api: Api) -> None:
    """Gzip is taken; what only claims to be gzip is 400."""
    assert (await api.post("/jobs", gzip.compress(JOB), headers={"Content-Encoding": "gzip"})).status == 202
    (await api.post("/jobs", JOB, headers={"Content-Encoding": "gzip"})).problem(400)
    (await api.post("/jobs", gzip.compress(JOB)[:20], headers={"Content-Encoding": "gzip"})).problem(400)


async def test_only_json_is_a_job(api: Api, settings: Settings) -> None:
    """415 for every other media type and for none; parameters of the right one do not matter."""
    others = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/x-ndjson", "application/jsonp", ";")
    for kind in others:
        assert "application/json" in (await api.post("/jobs", JOB, headers={"Content-Type": kind})).problem(415)["detail"]
    for path in ("/jobs", "/jobs/bulk"):
        (await exchange(settings.port, request("POST", path, body=JOB))).problem(415)
    (await api.post("/jobs/bulk", b"[]", headers={"Content-Type": "text/plain"})).problem(415)
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"):
        assert (await api.post("/jobs", JOB, headers={"Content-Type": kind})).status == 202


async def test_no_such_route_and_no_such_method(api: Api) -> None:
    """404 and 405, the latter with the methods that there are."""
    for path in ("/", "/nothing", "/jobs/", "/JOBS", "/api/v2/jobs", "/api/v1", "/jobs/x/y/z", "/%2e%2e/etc/passwd"):
        (await api.get(path)).problem(404)
    for method, path in (("DELETE", "/jobs"), ("PUT", "/jobs"), ("PATCH", "/jobs/x"), ("POST", "/livez")):
        answer = await api.call(method, path)
        answer.problem(405)
        assert "GET" in answer.headers["Allow"]


async def test_head_is_get_without_the_body(api: Api) -> None:
    """For probes and caches that ask so."""
    job_id = await api.submitted()
    for path in (f"/jobs/{job_id}", "/jobs", "/livez", "/readyz"):
        head = await api.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")


async def test_a_body_may_come_in_chunks(settings: Settings, api: Api) -> None:
    """Of any size; chunks that are none are 400."""
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in JOB) + b"0\r\n\r\n"
    assert (await exchange(settings.port, request("POST", "/jobs", JSON, "Transfer-Encoding: chunked", body=pieces))).status == 202
    for broken in (b"zz\r\n", b"-1\r\nx\r\n", b"ffffffffffffffffffff\r\n", b"1\r\nxx\r\n0\r\n\r\n"):
        (await exchange(settings.port, request("POST", "/jobs", JSON, "Transfer-Encoding: chunked", body=broken))).problem(400)
    assert await stored(api) == 1


async def test_a_body_that_does_not_come_is_given_up(api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """408 after the time limit, and the connection is of no more use."""
    monkeypatch.setattr(producer.body, "BODY_SECONDS", 0.2)
    wire = await open_wire(settings.port)
    await wire.send(request("POST", "/jobs", JSON, "Content-Length: 100", body=b'{"type"'))
    (await wire.answer()).problem(408)
    await wire.close()
    assert await stored(api) == 0


async def test_a_client_that_goes_away_leaves_nothing(api: Api, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Half a body is no job and no error of ours."""
    for _ in range(3):
        wire = await open_wire(settings.port)
        await wire.send(request("POST", "/jobs", JSON, "Content-Length: 100", body=b'{"type"'))
        await wire.close()
    assert await stored(api) == 0
    assert not caplog.records


async def test_a_client_may_ask_before_it_sends(api: Api, settings: Settings) -> None:
    """`Expect: 100-continue`, as curl says it before large bodies."""
    wire = await open_wire(settings.port)
    await wire.send(request("POST", "/jobs", JSON, "Expect: 100-continue", f"Content-Length: {len(JOB)}"))
    assert (await wire.answer()).status == 100
    await wire.send(JOB)
    assert (await wire.answer()).status == 202
    await wire.close()
    assert (await api.submit()).status == 202


async def test_pipelined_requests_are_answered_in_order(api: Api, settings: Settings) -> None:
    """Twenty requests in one packet, good and bad ones by turns."""
    bodies = [JOB if n % 2 else b"{" for n in range(20)]
    wire = await open_wire(settings.port)
    await wire.send(b"".join(request("POST", "/jobs", JSON, body=body) for body in bodies))
    assert [(await wire.answer()).status for _ in bodies] == [202 if n % 2 else 400 for n in range(20)]
    await wire.close()
    assert await stored(api) == 10


async def test_what_is_no_http_gets_a_problem_document(api: Api, settings: Settings) -> None:
    """Bad start lines, headers, lengths and hosts: 400, no traceback, nothing stored."""
    body = b"\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n" + JOB
    for data in (
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"POST /jobs HTTP/9.9\r\nHost: x" + body,
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nNo colon" + body,
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nBad name : 1" + body,
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nX: \x00" + body,
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5" + body,
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked" + body,
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1e3\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        answer = await exchange(settings.port, data)
        answer.problem(400)
    assert await stored(api) == 0


async def test_odd_but_harmless_requests_are_served(settings: Settings, api: Api) -> None:
    """Hosts of any kind, absolute URLs, a hundred headers, doubled ones, text that is no ASCII."""
    many = [f"X-Number-{n}: {n}" for n in range(100)]
    for data in (
        request("GET", "/livez", host="Host: evil.example:99999"),
        request("GET", "/livez", host="Host: \udcff\udcfe"),
        request("GET", "/livez", *many),
        request("GET", "/livez", "X-Text: \u00e4\u00f6", "Cookie: =;=;", "Cookie: a=b"),
        request("GET", "http://elsewhere/livez"),
        b"GET /livez HTTP/1.0\r\nHost: x\r\n\r\n",
    ):
        assert (await exchange(settings.port, data)).status == 200, data[:80]
    assert (await exchange(settings.port, request("HEAD", "/livez"), head=True)).status == 200
    assert (await api.get("/livez")).status == 200


async def test_paths_of_any_bytes_are_answered(settings: Settings, api: Api) -> None:
    """What cannot be shown in the answer must not break the answer."""
    for path in (
        "/jobs/\udcff",
        "/\udced\udca0\udc80",
        "/jobs?\udcff=\udcff",
        "/jobs/%ED%A0%80",
        "/jobs?%ED%A0%80=1",
        "/jobs?cursor=\udcff",
    ):
        answer = await exchange(settings.port, request("GET", path))
        answer.problem(answer.status)
        assert answer.status in {400, 404, 422}
    assert (await api.get("/livez")).status == 200


async def test_keys_of_an_object_may_be_doubled(api: Api) -> None:
    """As nearly every parser has it, the last one counts."""
    answer = await api.post("/jobs", b'{"type": "nothing", "priority": "low", "type": "test.noop", "priority": "high"}')
    assert (answer.status, answer.json["type"], answer.json["priority"]) == (202, "test.noop", "high")


def test_the_table_of_hostile_jobs_is_not_all_malformed() -> None:
    """Most of it is JSON, as what comes in by mistake mostly is."""
    assert sum(_is_json(body) for body in INVALID) > len(INVALID) / 2


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


async def test_encodings(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """What claims to be gzip and an encoding that we do not take: clear answers, and no client can write errors into the log."""
    (await api.post("/jobs", b"abc", headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})).problem(400)
    for encoding in ("br", "zstd"):
        answer = (await api.post("/jobs", b"abc", headers={"Content-Encoding": encoding, "Content-Type": "application/json"})).problem(415)
        assert "install" not in answer["detail"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
