"""The other dialect: POST /submit-job and GET /job-status/{id}."""

import asyncio
import json

from producer.requests import MAX_JOB_BYTES
from shared.broker import Broker
from shared.database import Database
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.make import in_state, open_lease
from tests.support.producer import Api


async def test_a_job_is_submitted_and_followed(api: Api, broker: Broker) -> None:
    """Committed, published, and the same job as in the other words."""
    answer = await api.post("/submit-job", {"jobType": "csv-generation", "payload": {"a": 1}})
    job_id = answer.json["jobId"]
    assert (answer.status, answer.json, answer.headers["Location"]) == (202, {"jobId": job_id, "status": "QUEUED"}, f"/job-status/{job_id}")
    job = await api.job(job_id)
    assert (job["type"], job["payload"], job["status"]) == ("csv.generate", {"a": 1}, "PENDING")
    short = (await api.get(f"/job-status/{job_id}")).json
    assert short == {"jobId": job_id, "status": "QUEUED", "retries": 0, "createdAt": job["created_at"], "updatedAt": job["updated_at"]}

    async def published() -> bool:
        return (await broker.depths())["normal"] == 1

    await eventually(published)


async def test_every_state_has_a_word(api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings) -> None:
    """Four words for seven states; what waits for its retry counts it already."""
    lease = await open_lease(leases, settings)
    expected = {
        Status.SCHEDULED: ("QUEUED", 0),
        Status.PENDING: ("QUEUED", 0),
        Status.RETRYING: ("QUEUED", 1),
        Status.PROCESSING: ("PROCESSING", 0),
        Status.COMPLETED: ("COMPLETED", 0),
        Status.FAILED: ("FAILED", 0),
        Status.CANCELLED: ("FAILED", 0),
    }
    for status, words in expected.items():
        job_id, _ = await in_state(jobs, database, lease, status)
        short = (await api.get(f"/job-status/{job_id}")).json
        assert (short["status"], short["retries"]) == words, status


async def test_an_idempotency_key_in_body_or_header(api: Api) -> None:
    """One job however often it is posted, here and in the other words; another body is refused."""
    body = {"jobType": "test.noop", "payload": {"a": 1}, "idempotencyKey": "k"}
    answers = await asyncio.gather(*(api.post("/submit-job", body) for _ in range(20)))
    assert len({answer.json["jobId"] for answer in answers}) == 1
    assert sorted(answer.status for answer in answers) == [200] * 19 + [202]
    by_header = await api.post("/submit-job", {"jobType": "test.noop", "payload": {"a": 1}}, headers={"Idempotency-Key": "k"})
    assert (by_header.status, by_header.headers["Idempotent-Replayed"]) == (200, "true")
    assert (await api.submit(payload={"a": 1}, idempotency_key="k")).json["id"] == by_header.json["jobId"]
    assert (await api.post("/submit-job", body | {"payload": {}})).pointers() == ["/idempotencyKey"]


async def test_errors_are_those_of_the_other_routes_in_these_words(api: Api) -> None:
    """The same problem documents; pointers name the fields as this client wrote them."""
    for body, pointers in (
        ({"jobType": "csv.generat", "payload": {}}, ["/jobType"]),
        ({"jobType": 5}, ["/jobType"]),
        ({"payload": {}}, [""]),
        ({"jobType": "test.noop", "payload": []}, ["/payload"]),
        ({"jobType": "email.send", "payload": {"to": 1}}, ["/payload"]),
        ({"jobType": "test.noop", "idempotencyKey": " "}, ["/idempotencyKey"]),
        ({"jobType": "test.noop", "priority": "high"}, ["/priority"]),
        ({"type": "test.noop"}, ["/type"]),
        ([], [""]),
    ):
        assert [pointer[:15] for pointer in (await api.post("/submit-job", body)).pointers()][: len(pointers)] == pointers, body
    for raw in (b"", b"{", b'{"jobType": "test.noop", "payload": {]}', b"\xff"):
        (await api.post("/submit-job", raw)).problem(400)
    (await api.post("/submit-job", b"{}", headers={"Content-Type": "text/plain"})).problem(415)
    for job_id in (new_id(), "nonsense"):
        (await api.get(f"/job-status/{job_id}")).problem(404)


async def test_the_size_limit_from_both_sides(api: Api) -> None:
    """A body of exactly 1 MiB is taken, one byte more is not."""
    frame = len(json.dumps({"jobType": "test.noop", "payload": {"x": ""}}))
    body = {"jobType": "test.noop", "payload": {"x": "x" * (MAX_JOB_BYTES - frame)}}
    assert (await api.post("/submit-job", body)).status == 202
    body["payload"] = {"x": "x" * (MAX_JOB_BYTES - frame + 1)}
    (await api.post("/submit-job", body)).problem(413)


async def test_also_under_the_version(api: Api) -> None:
    """As every route."""
    answer = await api.post("/api/v1/submit-job", {"jobType": "test.noop", "payload": {}})
    assert (await api.get(f"/api/v1/job-status/{answer.json['jobId']}")).json["status"] == "QUEUED"
