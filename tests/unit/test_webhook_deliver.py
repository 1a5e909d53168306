"""A delivery as the receiver sees it, and what becomes of it: decided without a network."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from consumer.handlers.webhook_deliver import LONGEST_WAIT_SECONDS, NotDeliveredError
from consumer.webhook_signature import signed_headers
from shared.errors import ConfigError, PermanentFailure, RetryAfter
from shared.settings import Settings, load
from shared.webhooks import secret_key
from tests.support.handler_context import HandlerContext, run_handler

OLD, NEW, OTHER = ("whsec_" + base64.b64encode(bytes([number]) * 24).decode() for number in (1, 2, 3))
BODY = '{"type": "job.completed", "data": {"result": "äöü 1.0"}}'


@dataclass
class Answer:
    """What a receiver answers."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    elapsed: float = 0.0123


@dataclass
class Receiver:
    """Stands where the guard of outgoing requests does, and keeps what it was asked for."""

    answer: Answer
    seen: dict[str, Any] = field(default_factory=dict)

    async def fetch(self, method: str, url: str, **options: Any) -> Answer:
        """Answer."""
        self.seen = {"method": method, "url": url} | options
        return self.answer


async def delivered(receiver: Receiver, secrets: tuple[str, ...] = (NEW,), job_id: str = "job-1") -> Any:
    """Run the handler of one delivery."""
    resources = {"outgoing": receiver, "settings": Settings(webhook_secret=secrets)}
    payload = f'{{"url": "https://example.org/hook", "event": {BODY}}}'.encode()
    return await run_handler("webhook.deliver", payload, HandlerContext(job_id=job_id, resources=resources))


@pytest.mark.parametrize("status", [200, 202, 204, 299])
async def test_a_receiver_that_says_yes(status: int) -> None:
    """Any 2xx is a delivery; the result says which, and how long it took. What was sent can be verified by the standard's own package."""
    receiver = Receiver(Answer(status))
    assert await delivered(receiver) == {"status": status, "latency_ms": 12.3}
    assert (receiver.seen["method"], receiver.seen["url"], receiver.seen["max_redirects"]) == ("POST", "https://example.org/hook", 0)
    assert receiver.seen["body"].decode() == BODY
    assert receiver.seen["headers"]["webhook-id"] == "job-1"
    assert receiver.seen["headers"]["Content-Type"] == "application/json"
    assert Webhook(NEW).verify(receiver.seen["body"], receiver.seen["headers"]) == json.loads(BODY)


async def test_two_secrets_two_signatures() -> None:
    """While one secret replaces the other, receivers with either of them accept; one with a third does not."""
    receiver = Receiver(Answer(200))
    await delivered(receiver, (NEW, OLD))
    for secret in (OLD, NEW):
        Webhook(secret).verify(receiver.seen["body"], receiver.seen["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(receiver.seen["body"], receiver.seen["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(receiver.seen["body"] + b" ", receiver.seen["headers"])


def test_the_signature_of_the_standard_s_example() -> None:
    """The vector that https://github.com/standard-webhooks/standard-webhooks has in its tests."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - public
    headers = signed_headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 408, 500, 502, 503, 429])
async def test_other_answers_are_tried_again(status: int) -> None:
    """Receivers are deployed, moved and mended: nothing but 410 is final."""
    with pytest.raises(NotDeliveredError, match=f"the receiver answered {status}"):
        await delivered(Receiver(Answer(status)))


async def test_410_is_final() -> None:
    """The receiver wants no more."""
    with pytest.raises(PermanentFailure, match="wants no more webhooks"):
        await delivered(Receiver(Answer(410)))


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_that_names_the_time(status: int) -> None:
    """Retry-After is obeyed, from these two answers."""
    with pytest.raises(RetryAfter) as found:
        await delivered(Receiver(Answer(status, {"Retry-After": "7"})))
    assert found.value.seconds == 7
    with pytest.raises(NotDeliveredError):
        await delivered(Receiver(Answer(500, {"Retry-After": "7"})))


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("3600", LONGEST_WAIT_SECONDS), ("3601", LONGEST_WAIT_SECONDS)])
async def test_nobody_makes_us_wait_for_longer_than_an_hour(value: str, seconds: float) -> None:
    """Whatever the receiver asks for."""
    with pytest.raises(RetryAfter) as found:
        await delivered(Receiver(Answer(503, {"Retry-After": value})))
    assert found.value.seconds == seconds


async def test_nonsense_in_retry_after_means_the_usual_backoff() -> None:
    """An ordinary failure."""
    with pytest.raises(NotDeliveredError):
        await delivered(Receiver(Answer(503, {"Retry-After": "soon"})))


async def test_without_a_secret_nothing_is_sent() -> None:
    """An unsigned webhook would be worse than a late one: the operator can mend it before the attempts are spent."""
    receiver = Receiver(Answer(200))
    with pytest.raises(ConfigError, match="MILLSTREAM_WEBHOOK_SECRET"):
        await delivered(receiver, ())
    assert receiver.seen == {}


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secrets_of_a_good_size(size: int) -> None:
    """24 to 64 bytes, with or without the padding of base64; several with commas or blanks between them."""
    secret = "whsec_" + base64.b64encode(b"x" * size).decode()
    assert secret_key(secret) == secret_key(secret.rstrip("=")) == b"x" * size
    assert load({"MILLSTREAM_WEBHOOK_SECRET": f"{secret}, {OLD} {NEW}"}).webhook_secret == (secret, OLD, NEW)


@pytest.mark.parametrize("bad", ["whsec_" + base64.b64encode(b"x" * 23).decode(), "whsec_" + base64.b64encode(b"x" * 65).decode(),
                                 base64.b64encode(b"x" * 24).decode(), "whsec_", "whsec_not base64!", "whsec_" + "ä" * 32])  # fmt: skip
def test_other_secrets_are_refused(bad: str) -> None:
    """At the start, and without showing them."""
    with pytest.raises(ConfigError) as found:
        load({"MILLSTREAM_WEBHOOK_SECRET": bad})
    assert "MILLSTREAM_WEBHOOK_SECRET=***: each must be whsec_" in found.value.problems[0]
