"""`SELECT millstream.enqueue(...)`: a job that is part of the caller's own transaction."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from shared.catalog import TypeDescription
from shared.catalog_store import publish
from shared.database import Database
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.producer import Api

pytestmark = pytest.mark.usefixtures("catalog")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NOOP = "SELECT millstream.enqueue('test.noop')"
KEYED = "SELECT millstream.enqueue('test.noop', $1::text::json, idempotency_key => 'once')"


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Connection]:
    """An application's own connection, which knows nothing of us."""
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def rival(settings: Settings) -> AsyncIterator[Connection]:
    """Another one."""
    connection = await asyncpg.connect(settings.database_url)
    yield connection
    await connection.close()


async def job(client: Connection, job_id: object) -> dict[str, Any]:
    """Return the job's row."""
    row = await client.fetchrow("SELECT *, status::text AS state FROM jobs WHERE id = $1", job_id)
    assert row is not None
    return dict(row)


async def count(client: Connection) -> tuple[int, int]:
    """Return how many jobs there are, and how many are in the outbox."""
    row = await client.fetchrow("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM outbox)")
    assert row is not None
    return row[0], row[1]


async def test_a_job_is_as_if_it_had_been_posted(client: Connection, api: Api) -> None:
    """Same defaults, same shape: apart from ids and times the rows of both doors are equal."""
    posted = await job(client, await api.submitted(type="csv-generation", payload={"a": 1}))
    called = await job(client, await client.fetchval("""SELECT millstream.enqueue('csv-generation', '{"a":1}')"""))
    own = {"id", "run_at", "created_at", "updated_at", "payload"}
    assert {name: value for name, value in called.items() if name not in own} == {k: v for k, v in posted.items() if k not in own}
    assert json.loads(called["payload"]) == json.loads(posted["payload"])
    assert called["id"].version == 7
    assert called["type"] == "csv.generate"


async def test_every_argument_can_be_named(client: Connection) -> None:
    """What a submit body may say, a call may say."""
    job_id = await client.fetchval(
        """SELECT millstream.enqueue(type => 'test.noop', payload => '{"a": [1, null]}', queue => 'mail', priority => 'high', delay => 60,
           max_attempts => 7, backoff => '{"kind": "fixed", "base": 1.5}', timeout => 12.5, expires_in => 90, tags => '{a,b}',
           idempotency_key => 'k', webhook_url => 'https://example.org/hook')"""
    )
    row = await job(client, job_id)
    assert (row["queue"], row["priority"], row["state"], row["max_attempts"]) == ("mail", "high", "SCHEDULED", 7)
    assert (row["payload"], row["backoff"]) == ('{"a": [1, null]}', '{"kind": "fixed", "base": 1.5}')
    assert (row["timeout_seconds"], row["tags"], row["idempotency_key"]) == (12.5, ["a", "b"], "k")
    assert row["webhook_url"] == "https://example.org/hook"
    assert (row["run_at"] - row["created_at"]).total_seconds() == 60
    assert (row["expires_at"] - row["created_at"]).total_seconds() == 90


async def test_the_defaults_of_the_type_apply(client: Connection, database: Database) -> None:
    """Those that its consumers have published, unless the call says otherwise."""
    defaults = {"max_attempts": 9, "timeout": 30, "backoff": {"kind": "fixed", "base": 3}}
    await publish(database, [TypeDescription(type="thumbnail", aliases=("thumb",), schema={"type": "object"}, defaults=defaults)])
    row = await job(client, await client.fetchval("SELECT millstream.enqueue('thumb')"))
    assert (row["type"], row["max_attempts"], row["timeout_seconds"], json.loads(row["backoff"])["base"]) == ("thumbnail", 9, 30, 3)
    row = await job(client, await client.fetchval("SELECT millstream.enqueue('thumbnail', max_attempts => 2, timeout => 1)"))
    assert (row["max_attempts"], row["timeout_seconds"], json.loads(row["backoff"])["base"]) == (2, 1, 3)


@pytest.mark.parametrize(("run_at", "state"), [("now() - interval '1 year'", "PENDING"), ("now() + interval '1 hour'", "SCHEDULED")])
async def test_run_at_in_the_past_means_now(run_at: str, state: str, client: Connection) -> None:
    """As over HTTP."""
    row = await job(client, await client.fetchval(f"SELECT millstream.enqueue('test.noop', run_at => {run_at})"))
    assert row["state"] == state
    assert row["run_at"] >= row["created_at"]


# If and only if the transaction commits


async def test_nobody_sees_it_before_the_commit(client: Connection, rival: Connection) -> None:
    """Neither the job nor its place in the outbox."""
    async with client.transaction():
        await client.execute("CREATE TABLE orders (id integer)")
        await client.execute("INSERT INTO orders VALUES (1)")
        await client.fetchval(NOOP)
        assert await count(client) == (1, 1)
        assert await count(rival) == (0, 0)
    assert await count(rival) == (1, 1)


async def test_a_rollback_leaves_nothing(client: Connection) -> None:
    """No job, no entry, no key, no count."""
    transaction = client.transaction()
    await transaction.start()
    await client.fetchval(KEYED, "{}")
    await transaction.rollback()
    assert await count(client) == (0, 0)
    assert await client.fetchval("SELECT count(*) FROM idempotency_keys") == 0
    assert await client.fetchval("SELECT coalesce(sum(n), 0) FROM job_counts") == 0


async def test_a_savepoint_takes_back_only_what_came_after_it(client: Connection) -> None:
    """The key that went with it may be used again, in the same transaction."""
    async with client.transaction():
        kept = await client.fetchval(NOOP)
        inner = client.transaction()
        await inner.start()
        gone = await client.fetchval(KEYED, "{}")
        await inner.rollback()
        again = await client.fetchval(KEYED, "{}")
    assert gone not in {kept, again}
    assert {row["id"] for row in await client.fetch("SELECT id FROM jobs")} == {kept, again}
    assert await count(client) == (2, 2)


async def test_a_thousand_in_one_transaction(client: Connection) -> None:
    """One statement, a thousand jobs; ids sort in the order in which they were made."""
    rows = await client.fetch("SELECT millstream.enqueue('test.noop', json_build_object('n', n)) AS id FROM generate_series(1, 1000) AS n")
    ids = [row["id"] for row in rows]
    assert ids == sorted(set(ids))
    assert await count(client) == (1000, 1000)
    assert await client.fetchval("SELECT sum(n) FROM job_counts WHERE status = 'PENDING'") == 1000


async def test_times_are_those_of_the_call(client: Connection) -> None:
    """Not of the beginning of a transaction that may have been open for an hour."""
    async with client.transaction():
        began = await client.fetchval("SELECT now() FROM pg_sleep(0.05)")
        row = await job(client, await client.fetchval(NOOP))
    assert (row["created_at"] - began).total_seconds() >= 0.05
    assert row["run_at"] == row["updated_at"] == row["created_at"]


# What is refused


async def test_an_unknown_type_is_told_the_nearest_names(client: Connection) -> None:
    """A typing error is answered with what was meant, nonsense with what there is."""
    with pytest.raises(asyncpg.InvalidParameterValueError, match=r"no consumer has published the type 'csv\.generat'") as found:
        await client.fetchval("SELECT millstream.enqueue('csv.generat')")
    assert found.value.hint == "did you mean csv.generate or csv-generation?"
    with pytest.raises(asyncpg.InvalidParameterValueError) as found:
        await client.fetchval("SELECT millstream.enqueue('zzz')")
    assert str(found.value.hint).startswith("known types: ")
    assert " csv.generate, email.send, " in str(found.value.hint)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="the type NULL"):
        await client.fetchval("SELECT millstream.enqueue(NULL)")


async def test_deliveries_cannot_be_asked_for(client: Connection) -> None:
    """They are the system's own."""
    with pytest.raises(asyncpg.InvalidParameterValueError, match="made by the system"):
        await client.fetchval("""SELECT millstream.enqueue('webhook.deliver', '{"url": "http://127.0.0.1/", "event": {}}')""")


TEN_YEARS = 315_360_000
REFUSED: list[tuple[str, Any]] = [
    ("payload", [1]), ("payload", "text"), ("payload", None), ("payload", {"a": "\0"}), ("payload", {"a": "x" * 1024 * 1024}),
    ("queue", ""), ("queue", "a" * 65), ("queue", "a b"), ("queue", "a\n"),
    ("priority", "urgent"), ("priority", "HIGH"),
    ("delay", -0.001), ("delay", TEN_YEARS + 1), ("run_at", "2101-01-01T00:00:00Z"),
    ("max_attempts", 0), ("max_attempts", 1001),
    ("backoff", []), ("backoff", {}), ("backoff", {"kind": "linear"}), ("backoff", {"kind": "fixed", "factor": 2}),
    ("backoff", {"kind": "fixed", "base": "5"}), ("backoff", {"kind": "fixed", "base": -1}), ("backoff", {"kind": "fixed", "base": None}),
    ("backoff", {"kind": "exponential", "base": 86401}), ("backoff", {"kind": "exponential", "factor": 0.5}),
    ("backoff", {"kind": "exponential", "factor": 101}), ("backoff", {"kind": "exponential", "jitter": 1.5}),
    ("backoff", {"kind": "exponential", "max": -1}), ("backoff", {"kind": "exponential", "max": TEN_YEARS + 1}),
    ("timeout", 0), ("timeout", 86400.5), ("expires_in", 0), ("expires_in", TEN_YEARS + 1),
    ("tags", ["a"] * 21), ("tags", [""]), ("tags", ["a" * 101]), ("tags", [None]),
    ("idempotency_key", ""), ("idempotency_key", "a" * 256), ("idempotency_key", "a b"), ("idempotency_key", "ä"),
]  # fmt: skip
ACCEPTED: list[tuple[str, Any]] = [
    ("payload", {}), ("payload", {"a": "\\u0000"}), ("payload", {"a": "x" * 1024 * 1023}),
    ("queue", "a" * 64), ("queue", "a.B-c_9"), ("priority", "low"),
    ("delay", 0), ("delay", TEN_YEARS), ("run_at", "2001-01-01T00:00:00Z"),
    ("max_attempts", 1), ("max_attempts", 1000),
    ("backoff", {"kind": "fixed"}), ("backoff", {"kind": "fixed", "base": TEN_YEARS, "jitter": 1}),
    ("backoff", {"kind": "exponential", "base": 0, "factor": 1, "max": 0, "jitter": 0}),
    ("backoff", {"kind": "exponential", "base": 86400, "factor": 100, "max": TEN_YEARS, "jitter": 1}),
    ("timeout", 0.001), ("timeout", 86400), ("expires_in", 0.001), ("expires_in", TEN_YEARS),
    ("tags", []), ("tags", ["a" * 100] * 20), ("tags", ["ä"]), ("idempotency_key", "~" * 255),
]  # fmt: skip
CASTS = {"payload": "text::json", "backoff": "text::json", "tags": "text[]", "delay": "float8", "timeout": "float8", "expires_in": "float8"}


def _call(name: str, value: Any) -> tuple[str, Any]:
    cast = CASTS.get(name, "integer" if name == "max_attempts" else "text::timestamptz" if name == "run_at" else "text")
    as_json = name in {"payload", "backoff"} and value is not None
    return f"SELECT millstream.enqueue('csv.generate', {name} => $1::{cast})", json.dumps(value) if as_json else value


async def test_both_doors_refuse_the_same(client: Connection, api: Api) -> None:
    """Beyond each limit HTTP says 422 or 413 and SQL says 22023 with the field's name, and nothing is stored."""
    for name, value in REFUSED:
        assert (await api.post("/jobs", {"type": "csv.generate", name: value})).status in {422, 413}, (name, value)
        with pytest.raises(asyncpg.InvalidParameterValueError, match=f"^invalid job: {name} "):
            await client.fetchval(*_call(name, value))
    assert await count(client) == (0, 0)


async def test_both_doors_accept_the_same(client: Connection, api: Api) -> None:
    """On the good side of each limit both take the job."""
    for name, value in ACCEPTED:
        assert (await api.post("/jobs", {"type": "csv.generate", name: value})).status == 202, (name, value)
        suffix = "'" if name == "idempotency_key" else value  # a key belongs to the door that it came through
        assert await client.fetchval(*_call(name, suffix))
    assert await count(client) == (2 * len(ACCEPTED), len(ACCEPTED))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
async def test_no_number_is_no_delay(value: str, client: Connection) -> None:
    """What JSON cannot say, SQL can."""
    for name in ("delay", "timeout", "expires_in"):
        with pytest.raises(asyncpg.InvalidParameterValueError, match=f"^invalid job: {name} "):
            await client.fetchval(f"SELECT millstream.enqueue('test.noop', {name} => '{value}')")


async def test_delay_and_run_at_exclude_each_other(client: Connection) -> None:
    """As over HTTP."""
    with pytest.raises(asyncpg.InvalidParameterValueError, match="run_at and delay cannot both be given"):
        await client.fetchval("SELECT millstream.enqueue('test.noop', delay => 1, run_at => now())")


@pytest.mark.parametrize("url", ["https://example.org", "http://[2001:db8::1]:8080/a?b#c", "https://example.org/" + "a" * 1980])
async def test_webhooks_go_to_http_addresses(url: str, client: Connection) -> None:
    """Any host, any port, any path, up to 2,000 characters."""
    row = await job(client, await client.fetchval("SELECT millstream.enqueue('test.noop', webhook_url => $1)", url))
    assert row["webhook_url"] == url


@pytest.mark.parametrize(
    "url",
    ["", "example.org", "ftp://example.org", "https://", "https:///a", "https://me:secret@example.org/", "https://example.org/a b",
     "https://example.org/\n", "https://exa\\mple.org/", "https://example.org/" + "a" * 1981],
)  # fmt: skip
async def test_webhooks_go_nowhere_else(url: str, client: Connection) -> None:
    """No other scheme, no user and password, no blanks, no longer ones."""
    with pytest.raises(asyncpg.InvalidParameterValueError, match="invalid job: webhook_url"):
        await client.fetchval("SELECT millstream.enqueue('test.noop', webhook_url => $1)", url)


# Idempotency


async def test_a_key_makes_one_job(client: Connection) -> None:
    """The same job again gives the first id, in the same transaction and in a later one, whatever the order of keys and the time zone."""
    async with client.transaction():
        first = await client.fetchval(KEYED, '{"a": 1, "b": 2}')
        assert await client.fetchval(KEYED, '{"b": 2, "a": 1}') == first
    await client.execute("SET TimeZone = 'Asia/Tokyo'")
    assert await client.fetchval(KEYED, '{"b": 2, "a": 1}') == first
    assert await count(client) == (1, 1)


async def test_a_key_means_one_job(client: Connection) -> None:
    """With another body it is refused, and the transaction is the caller's to end."""
    first = await client.fetchval(KEYED, '{"a": 1}')
    with pytest.raises(asyncpg.InvalidParameterValueError, match="idempotency_key 'once' was used for another job"):
        await client.fetchval(KEYED, '{"a": 2}')
    assert [row["id"] for row in await client.fetch("SELECT id FROM jobs")] == [first]


async def test_a_key_is_free_again_after_its_time(client: Connection) -> None:
    """Then the same body makes a new job, and another body too."""
    first = await client.fetchval(KEYED, '{"a": 1}')
    await client.execute("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'")
    assert await client.fetchval(KEYED, '{"a": 2}') != first
    assert await count(client) == (2, 2)


async def test_a_key_that_http_used_is_taken(client: Connection, api: Api) -> None:
    """The two doors cannot compare bodies: neither makes a second job."""
    assert (await api.submit(idempotency_key="once")).status == 202
    with pytest.raises(asyncpg.InvalidParameterValueError, match="was used for another job"):
        await client.fetchval(KEYED, "{}")
    await client.fetchval("SELECT millstream.enqueue('test.noop', idempotency_key => 'twice')")
    assert (await api.submit(idempotency_key="twice")).pointers() == ["/idempotency_key"]
    assert (await count(client))[0] == 2


@pytest.mark.parametrize("commits", [True, False])
async def test_a_rival_waits_for_the_first(commits: bool, client: Connection, rival: Connection) -> None:
    """Two transactions with one key: the second hears whether the first committed, and only then decides."""
    transaction = client.transaction()
    await transaction.start()
    first = await client.fetchval(KEYED, "{}")
    second = asyncio.create_task(rival.fetchval(KEYED, "{}"))
    blocked = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
    await eventually(lambda: client.fetchval(blocked, rival.get_server_pid()), what="the rival's wait")
    await (transaction.commit() if commits else transaction.rollback())
    assert (await second == first) is commits
    assert await count(client) == (1, 1)


async def test_many_rivals_make_one_job(settings: Settings, client: Connection) -> None:
    """Twenty connections, one key, at one moment."""
    rivals = await asyncio.gather(*(asyncpg.connect(settings.database_url) for _ in range(20)))
    ids = await asyncio.gather(*(connection.fetchval(KEYED, "{}") for connection in rivals))
    await asyncio.gather(*(connection.close() for connection in rivals))
    assert len(set(ids)) == 1
    assert await count(client) == (1, 1)


# Rights


@pytest.fixture
async def guest(client: Connection) -> AsyncIterator[Connection]:
    """A connection whose role has no right to anything of ours."""
    name = f"guest_{client.get_server_pid()}"
    await client.execute(f"CREATE ROLE {name}")
    await client.execute(f"GRANT TEMPORARY ON DATABASE {await client.fetchval('SELECT quote_ident(current_database())')} TO {name}")
    await client.execute(f"SET ROLE {name}")
    yield client
    await client.execute("RESET ROLE")
    await client.execute(f"DROP OWNED BY {name}")
    await client.execute(f"DROP ROLE {name}")


async def _grant(guest: Connection, *rights: str) -> None:
    name = await guest.fetchval("SELECT quote_ident(current_user)")
    await guest.execute("RESET ROLE")
    for right in rights:
        await guest.execute(f"GRANT {right} TO {name}")
    await guest.execute(f"SET ROLE {name}")


async def test_two_rights_suffice(guest: Connection) -> None:
    """USAGE on the schema and EXECUTE on the function: no table need be opened to an application."""
    await _grant(guest, "USAGE ON SCHEMA millstream")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="function enqueue"):
        await guest.fetchval(NOOP)
    await _grant(guest, "EXECUTE ON FUNCTION millstream.enqueue")
    job_id = await guest.fetchval(KEYED, "{}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="table jobs"):
        await guest.fetch("SELECT * FROM jobs")
    await guest.execute("RESET ROLE")
    assert (await job(guest, job_id))["state"] == "PENDING"


async def test_a_caller_cannot_slip_in_objects_of_its_own(guest: Connection) -> None:
    """Temporary tables, functions and operators before ours in the caller's search_path are not looked at."""
    await _grant(guest, "USAGE ON SCHEMA millstream", "EXECUTE ON FUNCTION millstream.enqueue")
    await guest.execute("CREATE TEMPORARY TABLE jobs (id uuid)")
    await guest.execute("CREATE TEMPORARY TABLE outbox (job_id uuid)")
    await guest.execute("CREATE TEMPORARY TABLE job_types (type text, aliases text[], defaults json)")
    await guest.execute("CREATE FUNCTION pg_temp.new_job_id() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'")
    await guest.execute("SET search_path = pg_temp, public")
    job_id = await guest.fetchval(NOOP)
    assert await guest.fetchval("SELECT count(*) FROM pg_temp.outbox") == 0
    await guest.execute("RESET ROLE")
    assert await guest.fetchval("SELECT count(*) FROM public.jobs WHERE id = $1", job_id) == 1
