"""Mistakes of schedules and webhooks."""

import random
import secrets
from collections.abc import Sequence
from typing import Any

import consumer.handlers.webhook_deliver
from chaos.mutants.mistakes.mistake import mistake, put
from consumer.outgoing import Fetched
from consumer.scheduler import Scheduler
from consumer.webhook_signature import signed_headers

SELDOM = 0.2


@mistake(12)
def ticks_are_left_out() -> None:
    """A scheduler passes over one tick in five."""
    decided = Scheduler._decided

    def careless(self: Any, *args: Any) -> Any:
        return [([] if random.random() < SELDOM else runs, advance) for runs, advance in decided(self, *args)]

    put(Scheduler, "_decided", careless)


@mistake(12)
def webhooks_are_forgotten() -> None:
    """One delivery in five is said to have been taken, and was never sent."""
    answer = consumer.handlers.webhook_deliver._answer

    async def silent(outgoing: Any, url: str, headers: Any, body: bytes) -> Any:
        if random.random() < SELDOM:
            return Fetched(204, url, {}, b"", 0.0)
        return await answer(outgoing, url, headers, body)

    put(consumer.handlers.webhook_deliver, "_answer", silent)


@mistake(12)
def a_new_id_for_each_delivery() -> None:
    """The id of a webhook is that of the try."""

    def forgetful(secrets_of: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        return signed_headers(secrets_of, f"{message_id}-{secrets.token_hex(4)}", timestamp, body)

    put(consumer.handlers.webhook_deliver, "signed_headers", forgetful)
