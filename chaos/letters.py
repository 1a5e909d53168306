"""Watches the DLQ stream: every letter that is added, and whether there was one of the same death already."""

import asyncio
from contextlib import suppress

from chaos.journal import Journal
from shared.broker import Broker
from shared.errors import UnavailableError
from shared.models import UNKNOWN_JOB

LOOK_SECONDS = 0.5


class LetterWatch:
    """Notes each in the journal, once."""

    def __init__(self, broker: Broker, journal: Journal) -> None:
        self._broker = broker
        self._journal = journal
        self._places: dict[tuple[str, int], str] = {}  # (job, attempts at its death) -> where its letter is
        self._last = "-"

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            with suppress(UnavailableError):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Note those that have come since the last look. Raises UnavailableError."""
        if _place(await self._newest()) < _place(self._last):
            self._last = "-"  # it was made anew, or Redis's clock was set back
        async for letter in self._broker.letters.all(self._last):
            death = (letter.job_id, letter.attempts)
            if self._places.get(death) == letter.place:
                continue
            twice = letter.reason != UNKNOWN_JOB and await self._is_there(self._places.get(death))
            self._journal.note("letter", job=letter.job_id, twice=twice)
            self._places[death] = self._last = letter.place

    async def _newest(self) -> str:
        newest = await self._broker.command("XREVRANGE", self._broker.keys.dlq, "+", "-", "COUNT", 1)
        return newest[0][0].decode() if newest else "-"

    async def _is_there(self, place: str | None) -> bool:
        return place is not None and bool(await self._broker.command("XRANGE", self._broker.keys.dlq, place, place))


def _place(entry_id: str) -> tuple[int, ...]:
    """Return what can be compared; before the first entry there is nothing."""
    return tuple(map(int, entry_id.split("-"))) if entry_id != "-" else ()
