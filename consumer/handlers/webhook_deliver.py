"""`webhook.deliver`: tells a receiver that a job has ended. Made by the database when that happens, never by clients."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from consumer.outgoing import Fetched, Outgoing, TooLargeError
from consumer.outgoing.retry_after import retry_after
from consumer.webhook_signature import signed_headers
from shared.errors import ConfigError, MillstreamError
from shared.jobs import Context, PermanentFailure, RetryAfter, job
from shared.webhooks import DELIVERY_TYPE

FETCH_SECONDS = 15.0  # https://www.standardwebhooks.com wants 15 to 30
MAX_ANSWER_BYTES = 65_536
LONGEST_WAIT_SECONDS = 3600.0  # whatever a receiver asks for


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to, and what; `event` is sent byte by byte as it is, so that every attempt says the same."""

    url: str
    event: msgspec.Raw


class NotDeliveredError(MillstreamError):
    """The receiver did not take it; it may at the next attempt."""


# Eight attempts over about three hours, spread by up to a fifth so that receivers that come back are not flooded.
@job(
    DELIVERY_TYPE,
    timeout=30,
    max_attempts=8,
    backoff={"kind": "exponential", "base": 5, "factor": 5, "max": 3600, "jitter": 0.2},
)
async def deliver(ctx: Context, payload: Delivery) -> dict[str, Any]:
    """POST the event, signed; return the status of the answer and the milliseconds that it took.

    The message's id is that of this job: the same at every attempt, another one when the job that ended is run again and ends again.
    """
    outgoing: Outgoing = ctx.resources["outgoing"]
    body = bytes(payload.event)
    headers = signed_headers(_secrets(ctx), ctx.job_id, int(time.time()), body) | {"Content-Type": "application/json"}
    answer = await _answer(outgoing, payload.url, headers, body)
    _check(answer.status, answer.headers)
    return {"status": answer.status, "latency_ms": round(answer.elapsed * 1000, 1)}


async def _answer(outgoing: Outgoing, url: str, headers: Mapping[str, str], body: bytes) -> Fetched:
    began = time.monotonic()
    try:
        return await outgoing.fetch(
            "POST", url, headers=headers, body=body, max_bytes=MAX_ANSWER_BYTES, timeout=FETCH_SECONDS, max_redirects=0
        )
    except TooLargeError as error:  # it has answered, at length: only the status counts
        return Fetched(error.status, url, {}, b"", time.monotonic() - began)


def _secrets(ctx: Context) -> tuple[str, ...]:
    secrets: tuple[str, ...] = ctx.resources["settings"].webhook_secret
    if not secrets:  # a job that SQL has submitted, or a consumer that was not told what the producer was
        raise ConfigError(["MILLSTREAM_WEBHOOK_SECRET: is not set for this consumer, so it cannot sign"])
    return secrets


def _check(status: int, headers: Mapping[str, str]) -> None:
    """Do nothing for 2xx; raise what is to become of the delivery otherwise."""
    if 200 <= status < 300:
        return
    sentence = f"the receiver answered {status}"
    if status == 410:
        raise PermanentFailure(f"{sentence}: it wants no more webhooks")
    wait = min(retry_after(headers, default=-1), LONGEST_WAIT_SECONDS) if status in {429, 503} else -1
    if wait >= 0:
        raise RetryAfter(wait, f"{sentence} and asks to wait {wait:g} s")
    raise NotDeliveredError(sentence)
