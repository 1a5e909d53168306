"""From the submit to the receiver: signed, told again until it is taken, and over when it is."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks import Webhook

from consumer import registry
from consumer.runtime import Consumer
from shared.embedded.folder import free_port
from shared.lifecycle import Status
from tests.support.consumer import Running, Stage
from tests.support.eventually import eventually
from tests.support.producer import Api, client, running
from tests.support.receiver import Receiver, receiving

SECRET = "whsec_" + base64.b64encode(b"a secret of at least 24 bytes").decode()
AT_ONCE = '{"max_attempts": 4, "timeout": 30, "backoff": {"kind": "fixed", "base": 0}}'


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that says yes until it is told otherwise."""
    async with receiving() as server:
        yield server


@pytest.fixture
async def api(stage: Stage, catalog: None) -> AsyncIterator[Api]:
    """A producer with a secret, and a consumer whose requests reach loopback."""
    del catalog
    stage.settings = replace(stage.settings, webhook_secret=(SECRET,), outgoing_allow=("127.0.0.0/8",))
    consumer = Consumer(stage.settings, registry.load(stage.settings))
    stage._started.append(Running(consumer, asyncio.create_task(consumer.run())))
    await eventually(lambda: stage.database.fetch_value("SELECT count(*) FROM leases"), what="the lease")
    await stage.database.fetch("UPDATE job_types SET defaults = $1 WHERE type = 'webhook.deliver'", AT_ONCE.encode())
    async with running(stage.settings), client(stage.settings) as connected:
        yield connected


async def delivery_of(stage: Stage, job_id: str, status: Status) -> dict[str, Any]:
    """Return the row of the job's delivery when it is in that state."""
    query = "SELECT id::text FROM jobs WHERE type = 'webhook.deliver' AND tags = ARRAY[$1]"
    return await stage.reaches(await eventually(lambda: stage.database.fetch_value(query, job_id), what="the delivery"), status)


async def test_a_receiver_hears_of_the_end(api: Api, stage: Stage, receiver: Receiver) -> None:
    """Once, verifiably from us, within a second or so of the end."""
    job_id = await api.submitted(type="csv.generate", payload={"a": 1}, webhook_url=receiver.url)
    row = await delivery_of(stage, job_id, Status.COMPLETED)
    [message] = receiver.messages
    event = Webhook(SECRET).verify(message.body, dict(message.headers))
    assert (event["type"], event["data"]["id"], event["data"]["result"]["rows"]) == ("job.completed", job_id, 1)
    assert row["result"]["status"] == 204
    assert row["result"]["latency_ms"] > 0
    assert (row["started_at"] - row["created_at"]).total_seconds() < 1.5
    assert message.headers["Content-Type"] == "application/json"


async def test_failures_and_cancels_are_told_too(api: Api, stage: Stage, receiver: Receiver) -> None:
    """A job that failed for good says why; one that was cancelled before it ran says so."""
    failed = await api.submitted(type="test.fail", payload={"message": "no"}, max_attempts=1, webhook_url=receiver.url)
    waiting = await api.submitted(delay=7200, webhook_url=receiver.url)
    await api.post(f"/jobs/{waiting}/cancel")
    for job_id in (failed, waiting):
        await delivery_of(stage, job_id, Status.COMPLETED)
    told = {event["data"]["id"]: event for event in (json.loads(message.body) for message in receiver.messages)}
    assert (told[failed]["type"], told[failed]["data"]["error"]) == ("job.failed", "RuntimeError: no")
    assert (told[waiting]["type"], told[waiting]["data"]["reason"]) == ("job.cancelled", "cancelled")


async def test_what_was_not_taken_is_told_again_as_the_same_message(api: Api, stage: Stage, receiver: Receiver) -> None:
    """An error, a redirect (which is not followed), then yes: one id and one body, a signature for each attempt."""
    receiver.answers = [(500, {}), (307, {"Location": receiver.url}), (200, {})]
    row = await delivery_of(stage, await api.submitted(webhook_url=receiver.url), Status.COMPLETED)
    assert (row["attempts"], row["result"]["status"]) == (3, 200)
    assert len(receiver.messages) == 3
    assert {message.headers["webhook-id"] for message in receiver.messages} == {row["id"]}
    assert len({message.body for message in receiver.messages}) == 1
    for message in receiver.messages:
        Webhook(SECRET).verify(message.body, dict(message.headers))


async def test_gone_is_gone(api: Api, stage: Stage, receiver: Receiver) -> None:
    """After 410 nobody knocks again."""
    receiver.answers = [(410, {})]
    row = await delivery_of(stage, await api.submitted(webhook_url=receiver.url), Status.FAILED)
    assert (row["attempts"], row["reason"]) == (1, "permanent_failure")
    assert len(receiver.messages) == 1


async def test_a_receiver_says_when(api: Api, stage: Stage, receiver: Receiver) -> None:
    """Retry-After counts instead of the backoff, which here would be at once."""
    receiver.answers = [(429, {"Retry-After": "1"}), (200, {})]
    await delivery_of(stage, await api.submitted(webhook_url=receiver.url), Status.COMPLETED)
    first, second = receiver.messages
    assert second.at - first.at >= 1.0


async def test_a_dead_receiver_ends_in_the_dead_letters(api: Api, stage: Stage, receiver: Receiver) -> None:
    """When the attempts are spent; from there it can be sent again, under the same id."""
    receiver.answers = [(500, {})]
    row = await delivery_of(stage, await api.submitted(webhook_url=receiver.url), Status.FAILED)
    assert (row["attempts"], row["reason"]) == (4, "attempts_spent")
    receiver.answers = [(200, {})]
    assert (await api.post(f"/jobs/{row['id']}/retry")).status == 202
    await stage.reaches(row["id"], Status.COMPLETED)
    assert {message.headers["webhook-id"] for message in receiver.messages} == {row["id"]}


async def test_jobs_by_sql_have_webhooks_too(api: Api, stage: Stage, receiver: Receiver) -> None:
    """`webhook_url` is an argument like the others."""
    del api
    job_id = await stage.database.fetch_value("SELECT millstream.enqueue('test.noop', webhook_url => $1)::text", receiver.url)
    await delivery_of(stage, job_id, Status.COMPLETED)
    assert json.loads(receiver.messages[0].body)["data"]["id"] == job_id


async def test_clients_cannot_make_deliveries(api: Api) -> None:
    """They would be signed with our secret, to anyone, saying anything."""
    answer = await api.submit(type="webhook.deliver", payload={"url": "https://example.org", "event": {}})
    assert answer.pointers() == ["/type"]
    bulk = await api.post("/jobs/bulk", [{"type": "webhook.deliver", "payload": {"url": "https://example.org", "event": {}}}])
    assert bulk.pointers() == ["/0/type"]


LONG = "https://example.org/"


@pytest.mark.parametrize(
    "url", ["https://example.org", "HTTP://[2001:db8::1]:8080/a?b=c#d", LONG + "a" * (2000 - len(LONG)), "http://bücher.example/"]
)
async def test_where_webhooks_may_go(url: str, api: Api) -> None:
    """Any http or https address of up to 2,000 characters; whether it may be reached is decided when it is."""
    assert (await api.submit(webhook_url=url, delay=7200)).status == 202


@pytest.mark.parametrize(
    "url",
    ["", "example.org", "/hook", "ftp://example.org", "file:///etc/passwd", "https://", "https:///path", "https://me@example.org",
     "https://me:pass@example.org/", "https://example.org/a b", "https://example.org/a\nb", "https://example.org:99999/",
     "https://example.org:port/", "https://[::1/", "https://exa\\mple.org", "https://:80/", LONG + "a" * (2001 - len(LONG)), 5, ["https://example.org"]],
)  # fmt: skip
async def test_where_webhooks_may_not_go(url: Any, api: Api) -> None:
    """422 with a pointer, and nothing stored."""
    assert (await api.submit(webhook_url=url)).pointers() == ["/webhook_url"]


async def test_without_a_secret_webhooks_are_refused(stage: Stage, catalog: None) -> None:
    """At the submit, where somebody reads it; other jobs are taken."""
    del catalog
    async with running(stage.settings), client(stage.settings) as connected:
        answer = await connected.submit(webhook_url="https://example.org")
        assert answer.pointers() == ["/webhook_url"]
        assert "MILLSTREAM_WEBHOOK_SECRET" in answer.json["detail"]
        assert (await connected.submit(webhook_url=None)).status == 202
        stage.leftovers = True


async def test_a_key_minds_the_webhook(api: Api) -> None:
    """Another address is another body, none is as it was before there were webhooks."""
    fields = {"idempotency_key": "k", "delay": 7200}
    first = await api.submit(**fields)
    assert (await api.submit(**fields, webhook_url=None)).json["id"] == first.json["id"]
    assert (await api.submit(**fields, webhook_url="https://example.org")).pointers() == ["/idempotency_key"]


async def test_nobody_listens(api: Api, stage: Stage) -> None:
    """A refused connection is a failure like any other."""
    row = await delivery_of(stage, await api.submitted(webhook_url=f"http://127.0.0.1:{free_port()}/"), Status.FAILED)
    assert row["attempts"] == 4


async def test_a_long_answer_is_an_answer(api: Api, stage: Stage, receiver: Receiver) -> None:
    """Whoever says yes with a megabyte of text has said yes."""
    receiver.answers, receiver.body = [(200, {})], b"x" * 1_000_000
    job_id = await api.submitted(type="csv.generate", payload={"a": 1}, webhook_url=receiver.url)
    row = await delivery_of(stage, job_id, Status.COMPLETED)
    assert (row["result"]["status"], len(receiver.messages)) == (200, 1)


async def test_a_private_address_is_refused_for_good(api: Api, stage: Stage) -> None:
    """The guard stands between a client and the network of the service; nothing is tried again."""
    job_id = await api.submitted(type="csv.generate", payload={"a": 1}, webhook_url="http://169.254.169.254/latest")
    row = await delivery_of(stage, job_id, Status.FAILED)
    assert (row["reason"], row["attempts"]) == ("permanent_failure", 1)
