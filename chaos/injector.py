"""Injects the faults of a plan, one after another or two at a time, and notes when each began, struck and was healed."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from chaos.faults import FAULTS, Fault, MissedError
from chaos.world import World
from shared.errors import UnavailableError

PAUSE_SECONDS = (0.1, 1.2)  # between two faults
PAIR_SHARE = 0.5


@dataclass
class Injector:
    """`names` are the faults to choose from."""

    world: World
    names: Sequence[str]
    dice: Random
    pairs: bool = True
    pause: tuple[float, float] = PAUSE_SECONDS
    missed: dict[str, str] = field(default_factory=dict)  # fault -> why it did not strike
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self, stop: asyncio.Event) -> None:
        """Inject until `stop`; what is under way then is still healed."""
        while not stop.is_set():
            await asyncio.gather(*(self._inject(FAULTS[name], stop) for name in self._choice()))
            await _pause(stop, self.dice.uniform(*self.pause))

    def _choice(self) -> list[str]:
        """One, or two of different parts: two hands on one server would be in each other's way."""
        if not self.names:
            return []
        first = self.dice.choice(self.names)
        others = [name for name in self.names if name.partition(".")[0] != first.partition(".")[0]]
        return [first, self.dice.choice(others)] if self.pairs and others and self.dice.random() < PAIR_SHARE else [first]

    async def _inject(self, fault: Fault, stop: asyncio.Event) -> None:
        number, began = next(self._numbers), time.time()
        try:
            async with fault.deed(self.world, self.dice) as hit:
                self.world.journal.note(
                    "struck",
                    i=number,
                    fault=fault.name,
                    kind=fault.kind,
                    strikes=sorted(fault.strikes),
                    victims=hit.victims,
                    began=began,
                    detail=hit.detail,
                )
                await _pause(stop, hit.seconds)
            self.world.journal.note("healed", i=number)
        except (MissedError, UnavailableError, OSError) as error:  # the other fault of a pair may be in the way
            self.missed[fault.name] = str(error)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
