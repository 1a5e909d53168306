"""Puts the dead letters into the DLQ stream that it lacks: all of them after a loss of Redis, a few after a worker's death.

The stream is read once, not once a page of letters: rebuilding it costs in proportion to what is in it.
"""

from datetime import timedelta

from shared.broker import Broker
from shared.dispatch_store import PAGE, DispatchStore
from shared.log import get_log
from shared.models import Placed

log = get_log()

CLOCK_SKEW = timedelta(hours=1)  # letters are dated by PostgreSQL, places by Redis


class LostLetters:
    """Any number of them may work at a time: who adds a page has its letters locked."""

    def __init__(self, dispatch: DispatchStore, broker: Broker) -> None:
        self._dispatch = dispatch
        self._broker = broker

    async def publish(self, older_than: float) -> None:
        """Add every letter whose place nobody knows and that is so many seconds old."""
        oldest = await self._dispatch.oldest_unplaced(older_than)
        if oldest is None:
            return
        seen = f"{int((oldest - CLOCK_SKEW).timestamp() * 1000)}"  # no letter is there before its job died
        while True:
            seen = await self._note_places(seen)
            if await self._add_page(older_than) < PAGE:
                return

    async def _note_places(self, after: str) -> str:
        """Note letters that are in the stream behind this place: a worker may have died after it had added one. Return the last place."""
        page: list[Placed] = []
        async for letter in self._broker.letters.all(after):
            after = letter.place
            page.append(letter)
            if len(page) == PAGE:
                await self._dispatch.note_places(page)
                page.clear()
        await self._dispatch.note_places(page)
        return after

    async def _add_page(self, older_than: float) -> int:
        async with self._dispatch.unplaced_letters(older_than) as (letters, placing):
            if letters:
                await placing.place(await self._broker.bury([(letter, None) for letter in letters]))
                log.warning("letters_published", count=len(letters))
        return len(letters)
