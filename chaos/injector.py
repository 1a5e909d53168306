"""Injects the faults of a plan with one hand or several, and notes when each began, struck and was healed."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from chaos.faults import FAULTS, Fault, Hit, MissedError
from chaos.world import World
from shared.errors import UnavailableError

PAUSE_SECONDS = (0.1, 1.2)  # between two faults
LOOK_SECONDS = 0.05  # is it still so?
ALONE = ("redis", "postgres", "network", "clock", "upgrade")  # two hands on one server would be in each other's way


@dataclass
class Injector:
    """`names` are the faults to choose from."""

    world: World
    names: Sequence[str]
    dice: Random
    hands: int = 2
    pause: tuple[float, float] = PAUSE_SECONDS
    missed: dict[str, str] = field(default_factory=dict)  # fault -> why it did not strike
    _turns: Counter[str] = field(default_factory=Counter)
    _busy: set[str] = field(default_factory=set)  # parts that a hand is at
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self, stop: asyncio.Event) -> None:
        """Inject until `stop`; what is under way then is still healed."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.hands):
                tasks.create_task(self._hand(stop))

    async def _hand(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await _pause(stop, self.dice.uniform(*self.pause))
            free = [name for name in self.names if _part(name) not in self._busy]
            if free and not stop.is_set():
                fault = FAULTS[self._choose(free)]
                taken = {_part(fault.name)} & {*ALONE}
                self._busy |= taken
                await self._inject(fault)
                self._busy -= taken

    def _choose(self, names: Sequence[str]) -> str:
        """By chance one of those that had their turn least often: each comes once before any comes twice."""
        least = min(self._turns[name] for name in names)
        name = self.dice.choice([name for name in names if self._turns[name] == least])
        self._turns[name] += 1
        return name

    async def _inject(self, fault: Fault) -> None:
        number, began, struck = next(self._numbers), time.time(), False
        try:
            async with fault.deed(self.world, Random(self.dice.random())) as hit:
                self.world.journal.note(
                    "struck",
                    i=number,
                    fault=fault.name,
                    kind=fault.kind,
                    strikes=sorted(fault.strikes),
                    victims=hit.victims,
                    began=began,
                    detail=hit.detail,
                    aim=hit.aim,
                )
                struck = True
                await _over(hit)
                self.world.journal.note("mending", i=number)
        except (MissedError, UnavailableError, OSError) as error:  # the other fault of a pair may be in the way
            self.missed[fault.name] = str(error)
            if struck and isinstance(error, MissedError):
                self.world.journal.note("missed", i=number, why=str(error))
        finally:
            if struck:
                self.world.journal.note("healed", i=number)


async def _over(hit: Hit) -> None:
    """Wait until its time is over. Raises MissedError when it ended before."""
    began = time.monotonic()
    while (left := began + hit.seconds - time.monotonic()) > 0:
        await asyncio.sleep(min(left, LOOK_SECONDS))
        if not hit.lasts():
            raise MissedError(f"{hit.detail}: was cut short after {time.monotonic() - began:.1f} of {hit.seconds:.1f} s")


def _part(name: str) -> str:
    return name.partition(".")[0]


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
