"""POST /jobs: what is accepted, what is stored, what is refused and how that is said."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from producer.app import Producer
from shared.broker import Broker
from shared.catalog import TypeDescription
from shared.catalog_store import publish
from shared.database import Database
from shared.ids import parse_id
from tests.support.eventually import eventually
from tests.support.producer import Api

FIELDS = {
    "id", "type", "status", "queue", "priority", "payload", "attempts", "failures", "max_attempts", "result", "error", "progress", "tags",
    "run_at", "created_at", "started_at", "finished_at", "updated_at",
}  # fmt: skip


async def test_a_job_is_accepted_and_found_again(api: Api) -> None:
    """202 names the job and its place, which has all that the contract promises."""
    answer = await api.post("/jobs", {"type": "csv.generate", "payload": {"a": 1}})
    assert answer.status == 202
    assert answer.headers["Content-Type"] == "application/json"
    job_id = answer.json["id"]
    assert parse_id(job_id) == job_id
    assert job_id[14] == "7"
    assert answer.headers["Location"] == f"/jobs/{job_id}"
    assert answer.json == {"id": job_id, "type": "csv.generate", "status": "PENDING", "queue": "default", "priority": "normal"}
    job = (await api.get(answer.headers["Location"])).json
    assert job.keys() >= FIELDS
    assert job | {"payload": {"a": 1}, "status": "PENDING", "attempts": 0, "failures": 0, "max_attempts": 4, "tags": []} == job
    assert all(job[name].endswith("Z") for name in ("run_at", "created_at", "updated_at"))
    assert job["started_at"] is job["finished_at"] is job["result"] is job["error"] is None


async def test_an_accepted_job_is_published(api: Api, broker: Broker) -> None:
    """Its id comes into the stream of its priority without anybody's help."""
    ids = {priority: await api.submitted(priority=priority) for priority in ("high", "normal", "low")}
    await eventually(lambda: _streams_hold(broker, ids), what="publish")


async def _streams_hold(broker: Broker, ids: dict[str, str]) -> bool:
    for priority, job_id in ids.items():
        entries = await broker.client.xrange(broker.keys.stream(priority))
        assert [fields for _, fields in entries] == [{b"id": job_id.encode()}]
    return True


async def test_an_alias_is_the_type_itself(api: Api) -> None:
    """The job is stored under its type's own name, and the payload is checked as the type wants it."""
    for alias in ("EMAIL", "EMAIL_SEND", "sendEmail", "welcome-email"):
        answer = await api.post("/jobs", {"type": alias, "payload": {"to": "ann@example.org", "subject": "hello"}})
        assert answer.json["type"] == "email.send"
        refused = await api.post("/jobs", {"type": alias, "payload": {"subject": 1}})
        assert refused.problem(422)["errors"]


async def test_defaults_of_the_type_are_used_and_overruled(api: Api, producer: Producer, database: Database) -> None:
    """What job_types says holds for jobs that say nothing; a job's own word wins."""
    defaults = {"max_attempts": 7, "timeout": 12.5, "backoff": {"kind": "fixed", "base": 3}}
    await publish(database, [TypeDescription(type="mine", aliases=("my-alias",), schema={"type": "object"}, defaults=defaults)])
    await producer._catalog.refresh()
    silent, own = (
        await api.submitted(type="my-alias"),
        await api.submitted(type="mine", max_attempts=1, timeout=2, backoff={"kind": "exponential", "base": 1, "jitter": 0.5}),
    )
    assert await _limits(database, silent) == (7, 12.5, {"kind": "fixed", "base": 3})
    assert await _limits(database, own) == (1, 2.0, {"kind": "exponential", "base": 1.0, "factor": 2.0, "max": 3600.0, "jitter": 0.5})


async def _limits(database: Database, job_id: str) -> tuple[Any, ...]:
    [row] = await database.fetch("SELECT max_attempts, timeout_seconds, backoff FROM jobs WHERE id = $1", job_id)
    return row[0], row[1], json.loads(row[2])


async def test_a_type_published_a_moment_ago_is_known(api: Api, database: Database, producer: Producer) -> None:
    """A type that the producer does not know is looked up before it is refused."""
    producer._catalog._looked_at = float("-inf")  # as if the last look were long ago
    await publish(database, [TypeDescription(type="fresh", schema={"type": "object"})])
    assert (await api.submit(type="fresh")).status == 202


async def test_a_bad_row_in_the_catalog_spoils_no_other_type(api: Api, database: Database, producer: Producer) -> None:
    """A schema that is none, or defaults that are none, make that type unknown and nothing else."""
    await publish(database, [TypeDescription(type="bad.schema", schema={"type": "objec"}), TypeDescription(type="bad.defaults", schema={})])
    await database.fetch("UPDATE job_types SET defaults = '[1]' WHERE type = 'bad.defaults'")
    await producer._catalog.refresh()
    assert (await api.submit()).status == 202
    assert (await api.submit(type="bad.schema")).status == 422


WELCOME: list[tuple[str, Any]] = [
    ("queue", "a" * 64),
    ("queue", "A-z_0.9"),
    ("priority", "high"),
    ("priority", "low"),
    ("max_attempts", 1),
    ("max_attempts", 1000),
    ("delay", 0),
    ("delay", 315_360_000),
    ("timeout", 0.001),
    ("timeout", 86_400),
    ("expires_in", 0.5),
    ("expires_in", 315_360_000),
    ("backoff", {"kind": "fixed", "base": 0}),
    ("backoff", {"kind": "exponential", "base": 2, "factor": 100, "max": 3600, "jitter": 1}),
    ("tags", []),
    ("tags", ["a" * 100, "ü", "with space"] * 6 + ["x", "y"]),
    ("idempotency_key", "k" * 255),
    ("payload", {}),
    ("run_at", "2020-01-01T00:00:00Z"),
    ("run_at", "0001-01-01T00:00:00Z"),
    ("run_at", "0001-01-01T00:00:00+14:00"),
    ("run_at", "2020-01-01T00:00:00.123456-03:30"),
]


async def test_what_a_field_may_be(api: Api) -> None:
    """The outermost values that each field takes are accepted, and shown as they were given."""
    for field, value in WELCOME:
        job = await api.job(await api.submitted(**{field: value}))
        if field in {"queue", "priority", "max_attempts", "tags", "payload"}:
            assert job[field] == value


OUT_OF_BOUNDS: list[tuple[dict[str, Any], str]] = [
    ({"queue": ""}, "/queue"),
    ({"queue": "a" * 65}, "/queue"),
    ({"queue": "a b"}, "/queue"),
    ({"queue": "default\n"}, "/queue"),
    ({"queue": None}, "/queue"),
    ({"priority": "urgent"}, "/priority"),
    ({"priority": 1}, "/priority"),
    ({"max_attempts": 0}, "/max_attempts"),
    ({"max_attempts": 1001}, "/max_attempts"),
    ({"max_attempts": 1.5}, "/max_attempts"),
    ({"max_attempts": "4"}, "/max_attempts"),
    ({"max_attempts": 10**30}, "/max_attempts"),
    ({"delay": -1}, "/delay"),
    ({"delay": -0.001}, "/delay"),
    ({"delay": 315_360_001}, "/delay"),
    ({"delay": "5"}, "/delay"),
    ({"timeout": 0}, "/timeout"),
    ({"timeout": 86_401}, "/timeout"),
    ({"expires_in": 0}, "/expires_in"),
    ({"expires_in": 315_360_001}, "/expires_in"),
    ({"run_at": "9999-12-31T23:59:59Z"}, "/run_at"),
    ({"run_at": "9999-12-31T23:59:59-14:00"}, "/run_at"),
    ({"run_at": "2030-01-01T00:00:00"}, "/run_at"),
    ({"run_at": "2030-02-30T00:00:00Z"}, "/run_at"),
    ({"run_at": "tomorrow"}, "/run_at"),
    ({"run_at": 1_900_000_000}, "/run_at"),
    ({"run_at": "2030-01-01T00:00:00Z", "delay": 1}, "/run_at"),
    ({"backoff": {"kind": "linear"}}, "/backoff/kind"),
    ({"backoff": {"base": 1}}, "/backoff"),
    ({"backoff": {"kind": "fixed", "base": -1}}, "/backoff/base"),
    ({"backoff": {"kind": "fixed", "factor": 2}}, "/backoff"),
    ({"backoff": {"kind": "exponential", "factor": 0.5}}, "/backoff/factor"),
    ({"backoff": {"kind": "exponential", "jitter": 2}}, "/backoff/jitter"),
    ({"backoff": 5}, "/backoff"),
    ({"tags": ["x"] * 21}, "/tags"),
    ({"tags": ["x", ""]}, "/tags/1"),
    ({"tags": ["x" * 101]}, "/tags/0"),
    ({"tags": ["a\x00"]}, "/tags/0"),
    ({"tags": "x"}, "/tags"),
    ({"tags": [1]}, "/tags/0"),
    ({"idempotency_key": ""}, "/idempotency_key"),
    ({"idempotency_key": "k" * 256}, "/idempotency_key"),
    ({"idempotency_key": "with space"}, "/idempotency_key"),
    ({"idempotency_key": "newline\n"}, "/idempotency_key"),
    ({"idempotency_key": "ü"}, "/idempotency_key"),
    ({"payload": []}, "/payload"),
    ({"payload": None}, "/payload"),
    ({"payload": "text"}, "/payload"),
    ({"payload": 1}, "/payload"),
    ({"type": ""}, "/type"),
    ({"type": 1}, "/type"),
    ({"type": None}, "/type"),
    ({"type": "x" * 201}, "/type"),
    ({"type": "a\x00b"}, "/type"),
    ({"color": "red"}, ""),
    ({"id": "0190a6e0-0000-7000-8000-000000000000"}, ""),
]


async def test_what_a_field_may_not_be(api: Api) -> None:
    """What is out of bounds is refused with a pointer to it, and nothing is stored."""
    found = [(fields, (await api.submit(**fields)).pointers()) for fields, _ in OUT_OF_BOUNDS]
    assert found == [(fields, [pointer]) for fields, pointer in OUT_OF_BOUNDS]
    assert (await api.get("/jobs")).json["jobs"] == []


async def test_a_type_is_required(api: Api) -> None:
    """The one field without a default."""
    answer = await api.post("/jobs", {"payload": {}})
    assert "type" in answer.problem(422)["detail"]


async def test_an_unknown_field_is_named(api: Api) -> None:
    """A typo must not silently become a default."""
    assert "`prioritty`" in (await api.submit(prioritty="high")).problem(422)["detail"]


async def test_an_unknown_type_gets_near_names(api: Api) -> None:
    """A person who mistyped reads what they meant."""
    for wrong, right in (("email.sent", "email.send"), ("csv.generat", "csv.generate"), ("test.nop", "test.noop")):
        answer = await api.submit(type=wrong)
        assert answer.pointers() == ["/type"]
        assert wrong in answer.json["detail"]
        assert f"did you mean {right}" in answer.json["detail"]


async def test_an_unknown_type_like_no_other_gets_all_names(api: Api) -> None:
    """Where nothing is near, what there is is listed."""
    assert "known types: " in (await api.submit(type="\U0001f600" * 200)).problem(422)["detail"]


async def test_every_error_of_a_payload_is_named(api: Api) -> None:
    """All of them at once, each with its pointer."""
    answer = await api.post("/jobs", {"type": "email.send", "payload": {"to": ["a@b.c", 5], "subject": 1, "x/y~z": 1}})
    assert {"/payload/subject"} < set(answer.pointers())
    assert all(pointer.startswith("/payload") for pointer in answer.pointers())


async def test_a_delayed_job_is_scheduled(api: Api, broker: Broker) -> None:
    """It waits in the ZSET, due in a minute, and the answer says SCHEDULED as the row does."""
    expected = set()
    for fields in ({"delay": 60}, {"run_at": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}):
        answer = await api.submit(priority="high", **fields)
        assert (answer.status, answer.json["status"]) == (202, "SCHEDULED")
        job = await api.job(answer.json["id"])
        wait = datetime.fromisoformat(job["run_at"]) - datetime.fromisoformat(job["created_at"])
        assert job["status"] == "SCHEDULED"
        assert timedelta(seconds=55) < wait < timedelta(seconds=61)
        expected.add(f"{job['id']}:high".encode())
    await eventually(lambda: _zset_is(broker, expected))


async def _zset_is(broker: Broker, members: set[bytes]) -> bool:
    return set(await broker.client.zrange(broker.keys.delayed, 0, -1)) == members


async def test_a_job_for_next_week_waits_in_postgresql(api: Api, broker: Broker) -> None:
    """Redis is not told of what is due beyond its horizon."""
    await api.submitted(delay=7 * 86_400)
    now = await api.submitted()
    await eventually(lambda: _streams_hold(broker, {"normal": now}))
    assert await broker.client.zcard(broker.keys.delayed) == 0


async def test_a_job_that_is_due_is_pending(api: Api) -> None:
    """No delay, or a time that is over, means now; the answer and the row agree."""
    for fields in ({"delay": 0}, {"run_at": "2020-01-01T00:00:00Z"}, {"run_at": "0001-01-01T00:00:00+14:00"}):
        answer = await api.submit(**fields)
        assert (answer.status, answer.json["status"]) == (202, "PENDING")
        job = await api.job(answer.json["id"])
        assert job["status"] == "PENDING"
        assert job["run_at"] == job["created_at"]


async def test_a_deadline_for_the_start_is_kept(api: Api, database: Database) -> None:
    """`expires_in` counts from the moment of the submit."""
    job_id = await api.submitted(expires_in=90)
    seconds = await database.fetch_value("SELECT extract(epoch FROM expires_at - created_at)::float8 FROM jobs WHERE id = $1", job_id)
    assert seconds == 90


PAYLOADS = [
    b'{"n": 123456789012345678901234567890, "m": -0.0, "e": 1E+2, "t": 1e-400}',
    b'{"a": 1, "a": 2}',
    b'{"text": "\\u00fc \\ud83d\\ude00 \\/ \\u001f"}',
    '{"ключ": "значение", "": []}'.encode(),
    b'{ "spaced" :\t[ 1 , 2 ]\r\n}',
    b'{"deep": %s}' % (b"[" * 400 + b"]" * 400),
    b'{"n": %s}' % (b"9" * 4000),
]


async def test_a_payload_comes_back_as_it_was_sent(api: Api) -> None:
    """Nothing rounds, sorts or normalises it."""
    for payload in PAYLOADS:
        answer = await api.post("/jobs", b'{"type": "test.noop", "payload": %s}' % payload)
        assert answer.status == 202, answer
        shown = await api.get(f"/jobs/{answer.json['id']}")
        assert payload in shown.body


async def test_every_route_answers_under_its_prefix(api: Api) -> None:
    """/api/v1 before any path changes nothing."""
    job_id = (await api.post("/api/v1/jobs", {"type": "test.noop"})).json["id"]
    assert (await api.post("/api/v1/jobs/bulk", [{"type": "test.noop"}])).status == 202
    for path in (
        "/jobs",
        f"/jobs/{job_id}",
        f"/jobs/{job_id}/status",
        f"/jobs/{job_id}/attempts",
        "/jobs/dead",
        "/jobs/stats",
        "/livez",
        "/readyz",
        "/metrics",
        "/workers",
    ):
        plain, prefixed = await api.get(path), await api.get(f"/api/v1{path}")
        assert (plain.status, prefixed.status) == (200, 200), path
    assert (await api.post(f"/api/v1/jobs/{job_id}/cancel")).status == 200
    assert (await api.post(f"/api/v1/jobs/{job_id}/retry")).status == 202


async def test_a_type_published_a_moment_after_a_miss_is_accepted(api: Api, database: Database) -> None:
    """Somebody asked too early, and it was published just then: the next who asks must not be told that it is unknown."""
    assert (await api.submit(type="new.type")).pointers() == ["/type"]
    await publish(database, [TypeDescription(type="new.type", schema={"type": "object"})])
    answers = await asyncio.gather(*(api.submit(type="new.type") for _ in range(20)))
    assert {answer.status for answer in answers} == {202}
