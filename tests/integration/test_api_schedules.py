"""/schedules: what is accepted, what is shown, what is refused and how that is said."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.broker import Broker
from shared.database import Database
from tests.support.eventually import eventually
from tests.support.producer import Answer, Api

NOOP = {"type": "test.noop"}
HOURLY = NOOP | {"cron": "0 * * * *"}


async def put(api: Api, name: str, body: Any) -> Answer:
    """PUT a schedule; bytes are sent as they are."""
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    return await api.call("PUT", f"/schedules/{name}", data=data, headers={"Content-Type": "application/json"})


async def made(api: Api, name: str, **fields: Any) -> dict[str, Any]:
    """Put a schedule that has to be accepted, and return what is shown."""
    answer = await put(api, name, NOOP | fields)
    assert answer.status in {200, 201}, answer
    shown: dict[str, Any] = answer.json
    return shown


def moment(text: str) -> datetime:
    """Return the time in an answer, which is in UTC."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


async def test_a_schedule_is_put_shown_replaced_and_deleted(api: Api) -> None:
    """201, then 200; GET shows the definition, its job with every default, and what is to come."""
    body = NOOP | {
        "cron": " 30  2 * * *",
        "timezone": "Europe/Berlin",
        "payload": {"a": 1},
        "queue": "night",
        "priority": "low",
        "tags": ["x"],
    }
    answer = await put(api, "nightly", body | {"misfire": {"catch_up": 3}, "overlap": "skip", "timeout": 5, "expires_in": 60})
    assert (answer.status, answer.headers["Location"]) == (201, "/schedules/nightly")
    shown = (await api.get("/schedules/nightly")).json
    wanted = {
        "name": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "misfire": "catch_up(3)", "overlap": "skip", "paused": False,
        "type": "test.noop", "payload": {"a": 1}, "queue": "night", "priority": "low", "tags": ["x"], "max_attempts": 4, "timeout": 5.0,
        "expires_in": 60.0, "last_run": None, "skipped": {"count": 0, "last_tick": None, "reason": None},
    }  # fmt: skip
    assert shown | wanted == shown
    runs = [moment(text) for text in shown["next_runs"]]
    assert len(runs) == 5
    assert runs == sorted(runs)
    assert runs[0] > moment(shown["created_at"]) == moment(shown["updated_at"])
    assert all(run.hour in {0, 1} and run.minute in {0, 30} for run in runs)
    replaced = await put(api, "nightly", NOOP | {"every": 3600})
    assert replaced.status == 200
    assert replaced.json["every"] == 3600.0
    assert (replaced.json["timezone"], replaced.json["misfire"], replaced.json["overlap"]) == ("UTC", "coalesce", "allow")
    assert replaced.json.keys().isdisjoint({"cron", "at", "tags", "timeout"})
    deleted = await api.call("DELETE", "/schedules/nightly")
    assert (deleted.status, deleted.body) == (204, b"")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/trigger"), ("POST", "/pause"), ("POST", "/resume")):
        (await api.call(method, f"/schedules/nightly{path}")).problem(404)


async def test_the_payload_is_kept_byte_by_byte(api: Api, database: Database) -> None:
    """What a job of the schedule gets is what was put, blanks and order and all."""
    await put(api, "odd", b'{"every": 60, "type": "test.noop", "payload": {"b" :  1.50, "a":"\\u00fc"}}')
    job_id = (await api.post("/schedules/odd/trigger")).json["id"]
    assert await database.fetch_value("SELECT payload FROM jobs WHERE id = $1", job_id) == b'{"b" :  1.50, "a":"\\u00fc"}'


async def test_a_trigger_makes_one_job_now(api: Api, broker: Broker, database: Database) -> None:
    """Paused or not, with everything that the schedule says of its jobs; the job and the schedule name each other."""
    await made(api, "now", every=3600, paused=True, overlap="skip", priority="high", max_attempts=2, tags=["t"], expires_in=60)
    answers = [await api.post("/schedules/now/trigger") for _ in range(2)]
    for answer in answers:
        assert answer.status == 202
        assert answer.headers["Location"] == f"/jobs/{answer.json['id']}"
    job_id = answers[1].json["id"]
    wanted = {"id": job_id, "type": "test.noop", "status": "PENDING", "queue": "default", "priority": "high", "schedule": "now"}
    assert answers[1].json == wanted
    job = await api.job(job_id)
    assert (job["schedule"], job["max_attempts"], job["tags"], job["priority"]) == ("now", 2, ["t"], "high")
    assert await database.fetch_value("SELECT expires_at - created_at FROM jobs WHERE id = $1", job_id) == timedelta(seconds=60)
    last = (await api.get("/schedules/now")).json["last_run"]
    assert last == {"tick": job["tick"], "job_id": job_id, "status": "PENDING"}
    assert await eventually(lambda: broker.client.xlen(broker.keys.stream("high"))) == 2
    listed = (await api.get("/jobs?schedule=now")).json["jobs"]
    assert {item["id"] for item in listed} == {answer.json["id"] for answer in answers}
    assert (await api.get("/jobs?schedule=other")).json["jobs"] == []
    plain = await api.job(await api.submitted())
    assert plain["schedule"] is plain["tick"] is None


async def test_pause_and_resume(api: Api) -> None:
    """A paused schedule has no next runs; resumed it goes on with the next tick, in step. Doing it twice changes nothing."""
    before = await made(api, "p", every=3600)
    for _ in range(2):
        paused = await api.post("/schedules/p/pause")
        assert (paused.status, paused.json["paused"], paused.json["next_runs"]) == (200, True, [])
    assert (await made(api, "p", every=3600))["paused"] is True, "a PUT that says nothing of it leaves it paused"
    for _ in range(2):
        resumed = await api.post("/schedules/p/resume")
        assert (resumed.status, resumed.json["paused"], resumed.json["next_runs"]) == (200, False, before["next_runs"])
    assert (await made(api, "p", every=3600, paused=True))["next_runs"] == []
    assert (await made(api, "p", every=3600, paused=False))["next_runs"] == before["next_runs"]


async def test_what_a_pause_covered_is_passed_over(api: Api, database: Database) -> None:
    """After a pause over several ticks the next one is in the future, by POST as by PUT; a time that passed meanwhile is over."""
    now = await database.fetch_value("SELECT now()")
    for name, resume in (("a", "POST"), ("b", "PUT")):
        await made(api, name, every=60, paused=True)
        await database.fetch("UPDATE schedules SET next_at = now() - interval '150 seconds' WHERE name = $1", name)
        answer = (
            await api.post(f"/schedules/{name}/resume") if resume == "POST" else await put(api, name, NOOP | {"every": 60, "paused": False})
        )
        assert answer.status == 200
        first = moment(answer.json["next_runs"][0])
        assert now + timedelta(seconds=28) < first < now + timedelta(seconds=35), "in step with what was planned before"
    await made(api, "c", at=(now + timedelta(hours=1)).isoformat(), paused=True)
    await database.fetch("UPDATE schedules SET at = now() - interval '1 hour', next_at = now() - interval '1 hour' WHERE name = 'c'")
    assert (await api.post("/schedules/c/resume")).json["next_runs"] == []


async def test_the_same_definition_again_keeps_its_step(api: Api) -> None:
    """A deployment that puts its schedules each time does not put them off; another timetable or zone begins anew."""
    first = await made(api, "s", every=3600)
    again = await made(api, "s", every=3600, payload={"new": 1})
    assert again["next_runs"] == first["next_runs"]
    assert again["payload"] == {"new": 1}
    assert again["created_at"] == first["created_at"]
    assert moment(again["updated_at"]) > moment(first["updated_at"])
    assert (await made(api, "s", every=3601))["next_runs"] != first["next_runs"]
    berlin = await made(api, "z", cron="0 12 * * *", timezone="Europe/Berlin")
    york = await made(api, "z", cron="0 12 * * *", timezone="America/New_York")
    assert set(berlin["next_runs"]).isdisjoint(york["next_runs"])


async def test_one_time(api: Api, database: Database) -> None:
    """`at` has one run; the past is refused, unless it is what is stored already."""
    now: datetime = await database.fetch_value("SELECT now()")
    zoned = (now + timedelta(hours=1)).astimezone(tz=datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    shown = await made(api, "once", at=zoned.isoformat())
    assert [moment(text) for text in shown["next_runs"]] == [zoned] == [moment(shown["at"])]
    refused = await put(api, "late", NOOP | {"at": (now - timedelta(seconds=1)).isoformat()})
    assert refused.pointers() == ["/at"]
    assert "over" in refused.json["detail"]
    past = now - timedelta(hours=1)
    await database.fetch("UPDATE schedules SET at = $1, next_at = NULL WHERE name = 'once'", past)
    again = await put(api, "once", NOOP | {"at": past.isoformat()})
    assert (again.status, again.json["next_runs"]) == (200, [])


WELCOME: list[tuple[str, dict[str, Any]]] = [
    ("shortest step", {"every": 1}),
    ("longest step", {"every": 315_360_000}),
    ("half seconds", {"every": 1.5}),
    ("six fields", {"cron": "*/10 * * * * *"}),
    ("longest cron", {"cron": "0," * 95 + "0 * * * *"}),
    ("a leap day", {"cron": "0 0 29 2 *"}),
    ("skip", {"every": 60, "misfire": "skip"}),
    ("catch_up text", {"every": 60, "misfire": "catch_up(1000)"}),
    ("catch_up object", {"every": 60, "misfire": {"catch_up": 1}}),
    ("zone without a city", {"every": 60, "timezone": "Etc/GMT+5"}),
    ("an alias", {"every": 60, "type": "EMAIL", "payload": {"to": "a@example.org", "subject": "s", "body": "b"}}),
    ("far away", {"at": "9999-12-31T23:59:59Z"}),
    ("null is absent", {"every": 60, "cron": None, "at": None, "paused": None}),
]


@pytest.mark.parametrize("fields", [case[1] for case in WELCOME], ids=[case[0] for case in WELCOME])
async def test_what_is_just_allowed(api: Api, fields: dict[str, Any]) -> None:
    """The last good value on this side of each limit."""
    assert (await put(api, "edge", NOOP | fields)).status == 201
    assert (await api.get("/schedules/edge")).status == 200


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no timetable", {}, ""),
    ("two timetables", {"cron": "* * * * *", "every": 60}, "/every"),
    ("three timetables", {"cron": "* * * * *", "every": 60, "at": "2100-01-01T00:00:00Z"}, "/every"),
    ("31 February", {"cron": "0 0 31 2 *"}, "/cron"),
    ("four fields", {"cron": "* * * *"}, "/cron"),
    ("empty cron", {"cron": ""}, "/cron"),
    ("too long a cron", {"cron": "0," * 96 + "0 * * * *"}, "/cron"),
    ("cron is no text", {"cron": 5}, "/cron"),
    ("too short a step", {"every": 0.999}, "/every"),
    ("too long a step", {"every": 315_360_001}, "/every"),
    ("a negative step", {"every": -1}, "/every"),
    ("step is no number", {"every": "60"}, "/every"),
    ("no zone", {"at": "2100-01-01T00:00:00"}, "/at"),
    ("no time", {"at": "tomorrow"}, "/at"),
    ("past", {"at": "2020-01-01T00:00:00Z"}, "/at"),
    ("no UTC", {"at": "9999-12-31T23:59:59-05:00"}, "/at"),
    ("unknown zone", {"every": 60, "timezone": "Europe/Atlantis"}, "/timezone"),
    ("a path as zone", {"every": 60, "timezone": "../../etc/passwd"}, "/timezone"),
    ("empty zone", {"every": 60, "timezone": ""}, "/timezone"),
    ("zone null", {"every": 60, "timezone": None}, "/timezone"),
    ("unknown misfire", {"every": 60, "misfire": "all"}, "/misfire"),
    ("catch up nothing", {"every": 60, "misfire": "catch_up(0)"}, "/misfire"),
    ("catch up too much", {"every": 60, "misfire": {"catch_up": 1001}}, "/misfire"),
    ("catch up text too much", {"every": 60, "misfire": "catch_up(1001)"}, "/misfire"),
    ("catch up more", {"every": 60, "misfire": {"catch_up": 1, "more": 1}}, "/misfire"),
    ("unknown overlap", {"every": 60, "overlap": "queue"}, "/overlap"),
    ("paused is no flag", {"every": 60, "paused": "no"}, "/paused"),
    ("a key", {"every": 60, "idempotency_key": "k"}, "/idempotency_key"),
    ("a delay", {"every": 60, "delay": 1}, "/delay"),
    ("a time for the job", {"every": 60, "run_at": "2100-01-01T00:00:00Z"}, "/run_at"),
    ("unknown type", {"every": 60, "type": "test.nop"}, "/type"),
    ("bad queue", {"every": 60, "queue": "a b"}, "/queue"),
    ("bad attempts", {"every": 60, "max_attempts": 0}, "/max_attempts"),
    ("a payload that does not fit", {"every": 60, "type": "email.send", "payload": {"subject": 1}}, "/payload/subject"),
    ("payload is no object", {"every": 60, "payload": [1]}, "/payload"),
    ("NUL", {"every": 60, "payload": {"a": "\0"}}, "/payload"),
    ("an unknown field", {"every": 60, "crom": "* * * * *"}, ""),
]


@pytest.mark.parametrize(("fields", "pointer"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_what_is_just_not_allowed(api: Api, database: Database, fields: dict[str, Any], pointer: str) -> None:
    """422 with a pointer to what is wrong, and nothing is stored."""
    answer = await put(api, "edge", NOOP | fields)
    assert pointer in answer.pointers()
    assert await database.fetch("SELECT FROM schedules") == []


async def test_a_clear_word_about_the_31st_of_february_and_unknown_types(api: Api) -> None:
    """The reason is in the answer."""
    assert "never fires" in (await put(api, "x", NOOP | {"cron": "0 0 31 2 *"})).problem(422)["detail"]
    assert "did you mean test.noop" in (await put(api, "x", {"type": "test.nop", "every": 60})).problem(422)["detail"]
    assert "exactly one of" in (await put(api, "x", NOOP)).problem(422)["detail"]
    assert "crom" in (await put(api, "x", NOOP | {"every": 60, "crom": 1})).problem(422)["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"every": 60, "type": "test.noop", "payload": {"a": "\\ud800"}}', 400),
        (b'{"a": ' * 100_000, 400),
        (b'{"payload": ' + b"[" * 100_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"every": 60}', 422),
        (b" " * (1024 * 1024 + 1), 413),
    ],
    ids=["empty", "broken", "no UTF-8", "surrogate", "deep", "deep payload", "array", "null", "no type", "large"],
)
async def test_bodies_that_are_none(api: Api, body: bytes, status: int) -> None:
    """A problem document for each, never a traceback."""
    (await put(api, "x", body)).problem(status)


async def test_other_media_types_are_refused(api: Api) -> None:
    """As everywhere."""
    answer = await api.call("PUT", "/schedules/x", data=b"{}", headers={"Content-Type": "text/plain"})
    answer.problem(415)


GOOD_NAMES = ["a" * 100, "A-z_0.9", "0", "_"]
BAD_NAMES = ["a" * 101, "-a", ".a", "a%20b", "%C3%BC", "a%2Fb", "a%00"]


@pytest.mark.parametrize(("name", "status"), [*((name, 201) for name in GOOD_NAMES), *((name, 422) for name in BAD_NAMES)])
async def test_names_have_limits(api: Api, name: str, status: int) -> None:
    """Letters, digits, _ . - and no more than a hundred; a name that cannot be is simply not there."""
    answer = await put(api, name, HOURLY)
    assert answer.status == status, answer
    assert (await api.get(f"/schedules/{name}")).status == (200 if status == 201 else 404)
    if status == 422:
        assert answer.pointers() == ["/name"]


async def test_pages(api: Api) -> None:
    """Sorted by name, page after page; parameters that cannot be are refused."""
    names = [f"s{number:02}" for number in range(5)]
    for name in reversed(names):
        await made(api, name, every=60)
    whole = (await api.get("/schedules")).json
    assert [item["name"] for item in whole["schedules"]] == names
    assert whole["next_cursor"] is None
    assert all(len(item["next_runs"]) == 5 for item in whole["schedules"])
    first = (await api.get("/schedules?limit=3")).json
    rest = (await api.get("/schedules", params={"limit": "3", "cursor": first["next_cursor"]})).json
    assert [item["name"] for page in (first, rest) for item in page["schedules"]] == names
    assert rest["next_cursor"] is None
    for query, status in (("limit=0", 422), ("limit=1001", 422), ("limit=x", 422), ("nope=1", 422), ("cursor=%00", 400)):
        (await api.get(f"/schedules?{query}")).problem(status)
    assert (await api.get("/schedules?limit=1000")).status == 200
    assert (await api.get("/api/v1/schedules/s00")).status == 200


async def test_the_next_runs_begin_after_now(api: Api, database: Database) -> None:
    """Also while a tick is overdue because no scheduler runs."""
    await made(api, "overdue", every=60)
    await database.fetch("UPDATE schedules SET next_at = now() - interval '1 hour'")
    first = (await api.get("/schedules/overdue")).json["next_runs"][0]
    assert datetime.now(UTC) - timedelta(seconds=5) < moment(first) < datetime.now(UTC) + timedelta(seconds=65)
