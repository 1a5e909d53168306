"""Makes the DLQ stream equal to the table again when letters are missing in it, or too many.

A Redis that came back with the files of some time ago does that, a stream that is deleted while others add to it, and a hand. They leave
no other trace: the stream is there, and the table says where each letter was put. So both sides are counted once a round, and compared
letter by letter when the counts differ, and once in each life of a server: older files may lack as many letters as they have too many.
"""

from collections.abc import Sequence

from consumer.lost_letters import LostLetters
from shared.broker import Broker
from shared.dispatch_store import PAGE, DispatchStore
from shared.ids import parse_id
from shared.log import get_log
from shared.models import UNKNOWN_JOB, Placed

log = get_log()

ROUNDS = 10  # in a row with different counts: letters come and go between the two looks


class LetterAudit:
    """Any number of them may work at a time: what one has mended the others find in order."""

    def __init__(self, dispatch: DispatchStore, broker: Broker, letters: LostLetters) -> None:
        self._dispatch = dispatch
        self._broker = broker
        self._letters = letters
        self._strangers = 0  # letters in the stream that no row stands for, as they were last counted
        self._rounds = 0
        self._run_id: str | None = None

    async def step(self) -> None:
        """Look once."""
        await self._look_at_the_server()
        await self._look_at_the_counts()

    async def _look_at_the_server(self) -> None:
        stream, run_id = self._broker.keys.base, await self._broker.run_id()
        if run_id and run_id != self._run_id:
            if run_id != await self._dispatch.run_id(stream):
                await self._make_equal()
                await self._dispatch.set_run_id(stream, run_id)
            self._run_id = run_id

    async def _look_at_the_counts(self) -> None:
        wanted = await self._dispatch.count_placed()
        if wanted is None:
            return
        held = await self._broker.letters.count()
        self._rounds = self._rounds + 1 if held != wanted + self._strangers else 0
        if wanted and not held:
            await self._dispatch.unplace_all()
            await self._letters.publish(0)
        elif self._rounds >= ROUNDS:
            self._rounds = 0
            await self._make_equal()

    async def _make_equal(self) -> None:
        missing = await self._unplace_missing()
        await self._letters.publish(0)
        strays = await self._remove_strays()
        if missing or strays:
            log.warning("dead_letters_mended", missing=missing, strays=strays)

    async def _unplace_missing(self) -> int:
        count = 0
        async for places in self._dispatch.placed():
            if missing := await self._broker.letters.missing(places):
                await self._dispatch.unplace(missing)
                count += len(missing)
        return count

    async def _remove_strays(self) -> int:
        strangers, strays = 0, 0
        page: list[Placed] = []
        async for letter in self._broker.letters.all():
            if letter.reason == UNKNOWN_JOB or parse_id(letter.job_id) is None:
                strangers += 1
                continue
            page.append(letter)
            if len(page) == PAGE:
                strays += await self._remove(page)
                page.clear()
        strays += await self._remove(page)
        self._strangers = strangers
        return strays

    async def _remove(self, page: Sequence[Placed]) -> int:
        strays = await self._dispatch.strays({letter.place: letter.job_id for letter in page})
        await self._broker.letters.forget(strays)
        return len(strays)
