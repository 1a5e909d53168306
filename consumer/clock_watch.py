"""Notices that Redis's clock may have been set, and makes one reconciler at a time put right what goes by it (ADR 21)."""

import secrets
import time

from shared.broker import Broker
from shared.dispatch_store import DispatchStore
from shared.log import get_log

log = get_log()

SKEW_SECONDS = 5.0  # by more than this the clocks of both stores come apart only when one of them is set
SURE_SECONDS = 1.0  # a look that took longer says nothing of the two clocks
FILLING_SECONDS = 120.0  # whoever has not ended by then is dead
FILLING = "filling"


class ClockWatch:
    """The note in Redis says by how many seconds its clock was ahead, and in which life of the server; or who is putting things right."""

    def __init__(self, dispatch: DispatchStore, broker: Broker) -> None:
        self._dispatch = dispatch
        self._broker = broker
        self._ours = ""  # the note that we left while we put things right
        self._found = ""  # the one to leave then

    async def was_set(self) -> bool:
        """Look. True: what goes by that clock is ours to put right, then call `done`; the ZSET has been emptied."""
        began = time.monotonic()
        now = (await self._dispatch.moment(0)).timestamp()
        ahead = await self._broker.time() - now
        run_id, note = await self._broker.run_id() or "", await self._broker.clock_note()
        interrupted = bool(note) and note == self._ours  # by a store that was away: we have not ended
        if time.monotonic() - began > SURE_SECONDS or (not interrupted and _holds(note, ahead, run_id, now)):
            return False
        log.info("filling_zset", redis_ahead=round(ahead, 3), note=note)
        self._ours, self._found = f"{FILLING} {now:.0f} {secrets.token_hex(4)}", f"{ahead:.3f} {run_id}"
        return await self._broker.begin_filling(note, self._ours)

    async def done(self) -> None:
        """All is right now, unless somebody else has found it wrong again meanwhile."""
        await self._broker.end_filling(self._ours, self._found)


def _holds(note: str, ahead: float, run_id: str, now: float) -> bool:
    """Whether the ZSET was filled by the clock as it is, or is just being filled."""
    first, _, rest = note.partition(" ")
    if first == FILLING:
        return abs(now - float(rest.partition(" ")[0])) < FILLING_SECONDS
    return bool(first) and rest == run_id and abs(ahead - float(first)) <= SKEW_SECONDS
