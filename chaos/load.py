"""The load of a run: an open loop of all kinds of requests, at a rate, whatever becomes of them."""

import asyncio
import secrets
from collections.abc import Sequence
from random import Random
from typing import Any

from chaos.client import OURS, TIMEOUT_SECONDS, Client
from chaos.world import World

OUTSTANDING = 300  # requests without an answer; beyond that the load waits
REPEATS = 6
LEAST_BULK = 5
BULKS_WITH_KEYS = 0.1
REPLAYED = 3  # dead jobs at a time
TYPES = ("chaos.work",) * 12 + ("chaos.thread", "chaos.thread", "chaos.process")
LONG = 0.004  # of the jobs of the first type. More of them, and those that crash twice would stand in line for minutes: one at a time
VERY_LONG = 0.05  # of those
OVER_A_LEASE_SECONDS = 13.0  # by default
IMPATIENT_SECONDS = 0.05  # a client that does not wait for the answer and asks again


class Load:
    """`jobs`: what to submit, as (type, payload), instead of our own job types; {n} stands for the job's number."""

    def __init__(
        self, world: World, client: Client, dice: Random, rate: float, bulk: int, jobs: Sequence[tuple[str, dict[str, Any]]] = ()
    ) -> None:
        self._client = client
        self._dice = dice
        self._rate = rate
        self._bulk = bulk
        self._jobs = jobs
        self._hook = world.hook_url

    async def run(self, stop: asyncio.Event) -> None:
        """Send `rate` requests a second until `stop`, then wait for the answers."""
        room = asyncio.Semaphore(OUTSTANDING)
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                due = max(due + self._dice.expovariate(self._rate), loop.time() - 1)
                await asyncio.sleep(max(due - loop.time(), 0))
                await room.acquire()
                tasks.create_task(self._request()).add_done_callback(lambda _: room.release())

    def _request(self) -> Any:
        what = self._dice.random()
        if what < 0.55:
            return self._one()
        if what < 0.80:
            return self._many()
        if what < 0.95 or not self._client.recent:
            return self._keyed()
        if what > 0.99:
            return self._client.replay(REPLAYED)
        return self._client.cancel(self._dice.choice(self._client.recent))

    async def _one(self) -> None:
        await self._client.submit([self._body()])

    async def _many(self) -> None:
        """Send a bulk; some with a key for each job, and then all of it once more."""
        bodies = [self._body() for _ in range(self._dice.randint(min(LEAST_BULK, self._bulk), self._bulk))]
        if keyed := self._dice.random() < BULKS_WITH_KEYS:
            for body in bodies:
                body["idempotency_key"] = secrets.token_hex(8)
        for _ in range(1 + keyed):
            await self._client.submit(bodies)

    async def _keyed(self) -> None:
        """Repeat with the same key until there is an answer; and sometimes without a reason."""
        body, key = self._body(), secrets.token_hex(8)
        for turn in range(REPEATS):
            impatient = turn == 0 and self._dice.random() < 0.3
            ids = await self._client.submit([body], key=key, timeout=IMPATIENT_SECONDS if impatient else TIMEOUT_SECONDS)
            if ids and self._dice.random() < 0.8:
                return
            await asyncio.sleep(self._dice.uniform(0.05, 0.5))

    def _body(self) -> dict[str, Any]:
        if self._jobs:
            return chosen(*self._dice.choice(self._jobs), self._client.number())
        dice = self._dice
        body: dict[str, Any] = {"type": dice.choice(TYPES), "payload": {"n": self._client.number(), "seconds": _seconds(dice)}}
        if body["type"] == TYPES[0] and dice.random() < LONG:
            body["payload"]["seconds"] = dice.uniform(3, 6) if dice.random() > VERY_LONG else OVER_A_LEASE_SECONDS
        body["payload"] |= _trouble(dice)
        if dice.random() < 0.2:
            body["priority"] = dice.choice(["high", "low"])
        if dice.random() < 0.1:
            body["delay"] = dice.uniform(0.1, 3)
        if dice.random() < 0.03:
            body["webhook_url"] = self._hook
        return body


def chosen(kind: str, payload: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a job of the user's choice."""
    return {"type": kind, "payload": numbered(payload, number) | ({"n": number} if kind.startswith(OURS) else {})}


def numbered(value: Any, number: int) -> Any:
    """Return the same with the number in the place of each {n}; where that is the whole string, as a number."""
    match value:
        case "{n}":
            return number
        case str():
            return value.replace("{n}", str(number))
        case list():
            return [numbered(item, number) for item in value]
        case dict():
            return {name: numbered(item, number) for name, item in value.items()}
        case _:
            return value


def _seconds(dice: Random) -> float:
    """Most are short, some take a while."""
    return dice.choice([0.0, 0.0, 0.01, 0.01, 0.05, dice.uniform(0.1, 1.0)])


def _trouble(dice: Random) -> dict[str, Any]:
    """One in twenty fails first, one in a hundred for good."""
    chance = dice.random()
    if chance < 0.03:
        return {"misdeed": "raise", "times": dice.choice([1, 1, 2])}
    if chance < 0.04:
        return {"misdeed": "snooze", "times": 1}
    if chance < 0.05:
        return {"misdeed": "raise", "times": 100} if chance < 0.042 else {"misdeed": "give_up", "times": 100}
    return {}
