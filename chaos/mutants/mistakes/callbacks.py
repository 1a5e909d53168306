"""Mistakes of schedules and webhooks."""

import random
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

import consumer.handlers.webhook_deliver
from chaos.checks import callbacks
from chaos.mutants.mistakes.mistake import mistake, put
from consumer.outgoing import Fetched
from consumer.scheduler import Scheduler
from consumer.webhook_signature import signed_headers
from shared.ids import new_id
from shared.job_store import insert
from shared.jobs import PermanentFailure
from shared.tick_store import Making, Run

SELDOM = 0.2
REFUSED = 300


@mistake(callbacks.every_tick_comes)
def ticks_are_left_out() -> None:
    """A scheduler passes over one tick in five."""
    decided = Scheduler._decided

    def careless(self: Any, *args: Any) -> Any:
        return [([] if random.random() < SELDOM else runs, advance) for runs, advance in decided(self, *args)]

    put(Scheduler, "_decided", careless)


@mistake(callbacks.every_end_is_told)
def webhooks_are_forgotten() -> None:
    """One delivery in five is said to have been taken, and was never sent."""
    answer = consumer.handlers.webhook_deliver._answer

    async def silent(outgoing: Any, url: str, headers: Any, body: bytes) -> Any:
        if random.random() < SELDOM:
            return Fetched(204, url, {}, b"", 0.0)
        return await answer(outgoing, url, headers, body)

    put(consumer.handlers.webhook_deliver, "_answer", silent)


@mistake(callbacks.every_end_is_told)
def webhooks_are_given_up_at_once() -> None:
    """The first refusal is the last one."""

    def impatient(status: int, headers: Mapping[str, str]) -> None:
        del headers
        if status >= REFUSED:
            raise PermanentFailure(f"answered {status}")

    put(consumer.handlers.webhook_deliver, "_check", impatient)


@mistake(callbacks.every_end_is_told)
def a_new_id_for_each_delivery() -> None:
    """The id of a webhook is that of the try."""

    def forgetful(secrets_of: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        return signed_headers(secrets_of, f"{message_id}-{secrets.token_hex(4)}", timestamp, body)

    put(consumer.handlers.webhook_deliver, "signed_headers", forgetful)


@mistake(callbacks.one_job_a_tick)
def ticks_are_doubled() -> None:
    """A second job of each tick, of which there is no note."""
    make = Making.make

    async def doubling(self: Any, runs: Sequence[Run]) -> list[Run]:
        made = await make(self, runs)
        await insert(self._transaction, [msgspec.structs.replace(run.job, id=new_id()) for run in made])
        return made

    put(Making, "make", doubling)
