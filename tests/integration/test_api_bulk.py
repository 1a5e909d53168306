"""POST /jobs/bulk: all or nothing."""

import json
from typing import Any

from shared import probe
from shared.broker import Broker
from tests.support.eventually import eventually
from tests.support.producer import Answer, Api

NDJSON = {"Content-Type": "application/x-ndjson"}
NOOP = {"type": "test.noop"}


async def stored(api: Api) -> int:
    """Return how many jobs there are."""
    counts: dict[str, int] = (await api.get("/jobs/stats")).json["by_status"]
    return sum(counts.values())


def bad_indexes(answer: Answer) -> set[int]:
    """Return the indexes that a refused bulk request names."""
    errors = answer.problem(422)["errors"]
    assert all(error["pointer"].startswith(f"/{error['index']}") for error in errors)
    return {error["index"] for error in errors}


async def test_an_array_of_jobs_is_accepted(api: Api, broker: Broker) -> None:
    """Ids come in the order of the jobs, and all are published."""
    jobs = [NOOP | {"payload": {"n": n}, "priority": priority} for n, priority in enumerate(("high", "low", "normal"))]
    answer = await api.post("/jobs/bulk", jobs)
    assert (answer.status, answer.json["count"], len(answer.json["ids"])) == (202, 3, 3)
    found = [await api.job(job_id) for job_id in answer.json["ids"]]
    assert [(job["payload"]["n"], job["priority"]) for job in found] == [(0, "high"), (1, "low"), (2, "normal")]
    await eventually(lambda: _published(broker, 3))


async def _published(broker: Broker, count: int) -> bool:
    depths = await broker.depths()
    return sum(depths[name] for name in ("high", "normal", "low")) == count


async def test_lines_of_json_are_accepted(api: Api) -> None:
    """NDJSON, with empty lines, carriage returns and without a last line end."""
    lines = [json.dumps(NOOP | {"payload": {"n": n, "separator": "\u2028"}}, ensure_ascii=False).encode() for n in range(3)]
    body = b"\n\n" + lines[0] + b"\r\n  \r\n" + lines[1] + b"\n" + lines[2]
    answer = await api.post("/jobs/bulk", body, headers=NDJSON)
    assert (answer.status, answer.json["count"]) == (202, 3)


async def test_nothing_is_no_error(api: Api) -> None:
    """An empty array, and NDJSON without a line, are zero jobs."""
    for body, headers in ((b"[]", {}), (b"", NDJSON), (b"\n \n", NDJSON)):
        answer = await api.post("/jobs/bulk", body, headers=headers)
        assert (answer.status, answer.json) == (202, {"ids": [], "count": 0})


async def test_ten_thousand_are_accepted_and_one_more_is_not(api: Api) -> None:
    """The bound is the documented one, and a refused request stores nothing."""
    full = b"[" + b",".join([b'{"type":"test.noop"}'] * 10_000) + b"]"
    assert (await api.post("/jobs/bulk", full)).json["count"] == 10_000
    (await api.post("/jobs/bulk", full[:-1] + b',{"type":"test.noop"}]')).problem(413)
    (await api.post("/jobs/bulk", b'{"type":"test.noop"}\n' * 10_001, headers=NDJSON)).problem(413)
    assert await stored(api) == 10_000


HOSTILE = [
    b'{"type": "test.noop", "payload": {"a": "\\u0000"}}',
    b'{"type": "test.noop", "payload": {"\\u0000": 1}}',
    b'{"type": "test.noop", "payload": {"a": 1e400000}}',
    b'{"type": "test.noop", "payload": {"a": "\\ud800"}}',
    b'{"type": "test.noop", "payload": {"a": "\xff"}}',
    b'{"type": "test.noop", "payload": {"a": %s}}' % (b"9" * 5000),
    b'{"type": "test.noop", "payload": {"a": %s}}' % (b"[" * 5000 + b"]" * 5000),
    b'{"type": "test.noop", "payload": {"a": %s}}' % (b"[" * 700 + b'"\\u0000"' + b"]" * 700),
    b'{"type": "test.noop", "tags": ["\\u0000"]}',
    b'{"type": "nobody.knows"}',
    b'{"type": "test.noop", "unknown": 1}',
    b'{"type": "test.noop", "delay": -1}',
    b"[]",
    b"null",
    b"{}",
]


async def test_one_bad_job_beside_99_good_ones_is_named(api: Api) -> None:
    """Whatever is wrong with it: its index is named, nothing is stored, and the good ones alone are accepted."""
    good = [b'{"type": "test.noop"}'] * 99
    for bad in HOSTILE:
        items = [*good[:50], bad, *good[50:]]
        answer = await api.post("/jobs/bulk", b"\n".join(items), headers=NDJSON)
        assert bad_indexes(answer) == {50}, bad[:80]
        if b"\xff" not in bad and b"ud800" not in bad and len(bad) < 5000:
            assert bad_indexes(await api.post("/jobs/bulk", b"[" + b",".join(items) + b"]")) == {50}, bad[:80]
    assert await stored(api) == 0
    assert (await api.post("/jobs/bulk", b"\n".join(good), headers=NDJSON)).status == 202


async def test_every_bad_index_is_named(api: Api) -> None:
    """Even when all 10,000 are bad, each is there."""
    answer = await api.post("/jobs/bulk", b'{"type":"test.noop","delay":-1,"payload":5}\n' * 10_000, headers=NDJSON)
    assert bad_indexes(answer) == set(range(10_000))
    assert "10000 of 10000" in answer.json["detail"]
    several = [NOOP, {"type": "email.send", "payload": {"to": 1, "subject": 2}}, NOOP, {"type": 5}]
    assert bad_indexes(await api.post("/jobs/bulk", several)) == {1, 3}


async def test_a_body_that_is_no_list_of_jobs_is_refused(api: Api) -> None:
    """400 where it is no JSON, 422 where it is another shape."""
    cases: list[tuple[bytes, int]] = [
        (b"", 400), (b"[", 400), (b'[{"type": "test.noop"},]', 400), (b'[{"type": "test.noop"}] x', 400), (b"nope", 400),
        (b"[" * 1_000_000, 400), (b"[" * 1_000_000 + b"]" * 1_000_000, 400),
        (b"{}", 422), (b"null", 422), (b'"text"', 422), (b"5", 422),
    ]  # fmt: skip
    for body, status in cases:
        (await api.post("/jobs/bulk", body)).problem(status)
    assert await stored(api) == 0


async def test_17_mib_are_too_much(api: Api) -> None:
    """The bound on a bulk body is 16 MiB, the bound on each job in it 1 MiB."""
    mebibyte = b'{"type":"test.noop","payload":{"a":"%s"}}\n' % (b"x" * 1_000_000)
    answer = await api.post("/jobs/bulk", mebibyte * 17 + b" " * 1_000_000, headers=NDJSON)
    answer.problem(413)
    assert (await api.post("/jobs/bulk", mebibyte * 15, headers=NDJSON)).status == 202
    answer = await api.post("/jobs/bulk", mebibyte + mebibyte.replace(b'"}}', b"x" * 100_000 + b'"}}'), headers=NDJSON)
    assert bad_indexes(answer) == {1}


async def test_bulk_jobs_may_have_keys_of_their_own(api: Api) -> None:
    """Known keys give the id of the first job; so does a key that stands twice in one request."""
    first = await api.submitted(idempotency_key="a")
    jobs = [NOOP | {"idempotency_key": key} for key in ("a", "b", "b", "c")] + [NOOP]
    ids = (await api.post("/jobs/bulk", jobs)).json["ids"]
    assert ids[0] == first
    assert ids[1] == ids[2]
    assert len(set(ids)) == 4
    assert await stored(api) == 4
    assert (await api.post("/jobs/bulk", jobs[:4])).json["ids"] == ids[:4]


async def test_a_key_with_another_body_refuses_the_whole_bulk(api: Api) -> None:
    """Against an earlier request as within one: nothing of it is stored."""
    await api.submitted(idempotency_key="a")
    requests: list[list[dict[str, Any]]] = [
        [NOOP, NOOP | {"idempotency_key": "a", "payload": {"other": 1}}],
        [NOOP | {"idempotency_key": "b"}, NOOP | {"idempotency_key": "b", "priority": "high"}],
    ]
    for jobs in requests:
        assert "/idempotency_key" in (await api.post("/jobs/bulk", jobs)).pointers()[0]
    assert await stored(api) == 1


async def test_a_header_key_is_refused_for_bulk(api: Api) -> None:
    """It would be unclear which job it means."""
    (await api.post("/jobs/bulk", [NOOP], headers={"Idempotency-Key": "k"})).problem(400)


async def test_a_large_request_is_one_insert(api: Api) -> None:
    """All or nothing includes a crash half-way: 10,000 jobs are one statement, though batches of many requests are smaller."""
    with probe.watch("inserting") as inserts:
        await api.post("/jobs/bulk", [NOOP] * 5000)
    assert [len(jobs) for jobs in inserts] == [5000]


async def test_a_reused_key_is_named_by_its_index(api: Api) -> None:
    """The third of three jobs has a key that was used with another body: nothing is stored, and the index says where."""
    await api.submitted(idempotency_key="zz", payload={"a": 1})
    jobs = [{"type": "test.noop"}, {"type": "test.noop"}, {"type": "test.noop", "idempotency_key": "zz", "payload": {"a": 2}}]
    answer = await api.call("POST", "/jobs/bulk", json=jobs)
    assert answer.pointers() == ["/2/idempotency_key"]
    assert answer.json["errors"][0]["index"] == 2
    assert sum((await api.get("/jobs/stats")).json["by_status"].values()) == 1
