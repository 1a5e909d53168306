"""Idempotency keys: one key, one job."""

import asyncio

from shared import probe
from shared.database import Database
from tests.integration.test_api_bulk import stored
from tests.support.producer import Api


async def test_the_same_request_again_gives_the_first_job(api: Api) -> None:
    """200, the header that says so, and the job as it is now; whichever way the key is given."""
    job_id = await api.submitted(idempotency_key="k", payload={"a": 1, "b": [1, 2]})
    await api.post(f"/jobs/{job_id}/cancel")
    in_header = await api.post(
        "/jobs", b'{"payload": {"b": [1,2], "a": 1}, "type": "test.noop", "priority": "normal"}', headers={"Idempotency-Key": "k"}
    )
    for again in (await api.submit(idempotency_key="k", payload={"a": 1, "b": [1, 2]}), in_header):
        assert (again.status, again.headers["Idempotent-Replayed"], again.headers["Location"]) == (200, "true", f"/jobs/{job_id}")
        assert (again.json["id"], again.json["status"]) == (job_id, "CANCELLED")
    assert await stored(api) == 1


async def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    """Whatever differs: the client would believe in a job that is not there."""
    await api.submitted(idempotency_key="k", payload={"a": 1})
    for other in (
        {"payload": {"a": 2}},
        {"payload": {"a": 1}, "priority": "high"},
        {"payload": {"a": 1}, "delay": 1},
        {"payload": {"a": 1.0}},
        {},
    ):
        answer = await api.submit(idempotency_key="k", **other)
        assert answer.pointers() == ["/idempotency_key"]
        assert "'k'" in answer.json["detail"]
    assert await stored(api) == 1


async def test_an_alias_is_the_same_body(api: Api) -> None:
    """A client that changes to the type's own name between two tries sends the same job."""
    job = {"payload": {"to": "ann@example.org", "subject": "hello"}, "idempotency_key": "k"}
    first = await api.post("/jobs", job | {"type": "EMAIL"})
    again = await api.post("/jobs", job | {"type": "email.send"})
    assert (again.status, again.json["id"]) == (200, first.json["id"])


async def test_header_and_body_must_agree(api: Api) -> None:
    """One key given twice is fine; two keys are not."""
    assert (await api.post("/jobs", {"type": "test.noop", "idempotency_key": "k"}, headers={"Idempotency-Key": "k"})).status == 202
    answer = await api.post("/jobs", {"type": "test.noop", "idempotency_key": "k"}, headers={"Idempotency-Key": "other"})
    assert answer.pointers() == ["/idempotency_key"]


async def test_a_malformed_header_is_refused(api: Api) -> None:
    """400: empty, too long, with a blank, or not ASCII."""
    for key in ("", "k" * 256, "a b", "\u00fc"):
        (await api.post("/jobs", {"type": "test.noop"}, headers={"Idempotency-Key": key})).problem(400)
    assert (await api.post("/jobs", {"type": "test.noop"}, headers={"Idempotency-Key": "k" * 255})).status == 202


async def test_a_hundred_posts_of_one_key_make_one_job(api: Api) -> None:
    """At the same moment: one 202, ninety-nine replays, all of one id."""
    with probe.watch("committed") as commits:
        answers = await asyncio.gather(*(api.submit(idempotency_key="k", payload={"n": 1}) for _ in range(100)))
    assert len(commits) <= 20, "rivals wait for one transaction, not for one another"
    assert sorted(answer.status for answer in answers) == [200] * 99 + [202]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert await stored(api) == 1


async def test_a_hundred_posts_of_one_key_with_different_bodies_make_one_job(api: Api) -> None:
    """One wins, the others learn that the key is taken."""
    answers = await asyncio.gather(*(api.submit(idempotency_key="k", payload={"n": n}) for n in range(100)))
    assert sorted(answer.status for answer in answers) == [202] + [422] * 99
    assert await stored(api) == 1


async def test_many_keys_at_once_are_few_transactions(api: Api) -> None:
    """Group commit holds for requests with keys, too, and a bad neighbour spoils none."""
    await api.submitted(idempotency_key="k7")
    with probe.watch("committed") as commits:
        answers = await asyncio.gather(*(api.submit(idempotency_key=f"k{n}", payload={"n": 1} if n == 7 else {}) for n in range(100)))
    assert [answer.status for answer in answers] == [422 if n == 7 else 202 for n in range(100)]
    assert len(commits) <= 20
    assert await stored(api) == 100


async def test_an_expired_key_is_free_again(api: Api, database: Database) -> None:
    """After its time the same key makes a new job, even with another body."""
    first = await api.submitted(idempotency_key="k")
    await database.fetch("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'")
    second = await api.submitted(idempotency_key="k", payload={"other": 1})
    assert first != second
    assert (await api.submit(idempotency_key="k", payload={"other": 1})).json["id"] == second


async def test_a_replay_of_a_forgotten_job_names_its_id(api: Api, database: Database) -> None:
    """The job may have been deleted before its key: the answer still says which one it was."""
    job_id = await api.submitted(idempotency_key="k")
    await database.fetch("DELETE FROM jobs")
    again = await api.submit(idempotency_key="k")
    assert (again.status, again.json) == (200, {"id": job_id})
