"""Makes Redis agree with PostgreSQL again, whatever happened to Redis or to a process between a commit and its publish.

A job that waits, is due, and has not been touched since before the oldest unread entry was added must have had an entry that is gone:
every entry of its time was read. Nothing else is added again, so a long backlog costs nothing here.
"""

import logging
import secrets
import time
from datetime import datetime, timedelta

from consumer.clock_watch import ClockWatch
from consumer.letter_audit import LetterAudit
from consumer.lost_letters import LostLetters
from consumer.triage import Triage
from shared import metrics, probe
from shared.broker import Broker
from shared.dispatch_store import HORIZON_SECONDS, PAGE, DispatchStore
from shared.lease_store import LeaseStore
from shared.log import get_log
from shared.redis_client import GroupMissingError

log = get_log()

EVERY_SECONDS = 1.0
MARGIN_SECONDS = 3.0  # a publish may be under way for so long
HORIZON_STEP_SECONDS = 60.0
SET_BACK_SECONDS = 60.0  # what has been due for so long at most may still be in a ZSET whose clock was set back
ORPHANS_FOR_SECONDS = 60.0  # after a worker's death


class Reconciler:
    """Any number of them may run; each repair is idempotent."""

    def __init__(self, dispatch: DispatchStore, leases: LeaseStore, broker: Broker, triage: Triage) -> None:
        self._dispatch = dispatch
        self._leases = leases
        self._broker = broker
        self._triage = triage
        self._clock = ClockWatch(dispatch, broker)
        self._letters = LostLetters(dispatch, broker)
        self._audit = LetterAudit(dispatch, broker, self._letters)
        self._horizon: datetime | None = None  # what becomes due until then is in the ZSET
        self._orphans_sought_at: float | None = None  # by the monotonic clock; None: never, so whoever died long ago is unknown

    async def step(self) -> None:
        """One pass."""
        try:
            await self._pass()
        except GroupMissingError:
            await self._broker.ensure_groups()

    async def _pass(self) -> None:
        if await self._was_emptied():
            await self._rebuild()
        if await self._clock.was_set():
            await self._put_right()
        now = await self._dispatch.moment(MARGIN_SECONDS)
        for lane, age in (await self._broker.undelivered_ages()).items():
            await self._add_again(lane, now - timedelta(seconds=age))
        probe.reached("reconciling", now)
        await self._bring_in()
        await self._reclaim_orphans()
        await self._letters.publish(MARGIN_SECONDS)
        await self._audit.step()

    # Redis has lost something that we put there

    async def _was_emptied(self) -> bool:
        epoch = await self._broker.epoch()
        return epoch is None or epoch != await self._dispatch.epoch(self._broker.keys.base)

    async def _rebuild(self) -> None:
        """Put everything that is open back. The epoch comes last: whoever dies on the way leaves the rest to the next."""
        began = await self._dispatch.epoch(self._broker.keys.base) is None  # nothing was ever put there
        log.log(logging.INFO if began else logging.WARNING, "rebuilding_dispatch")
        await self._broker.ensure_groups()
        self._horizon = None
        probe.reached("rebuilding")
        count = 0
        now = await self._dispatch.moment(0)
        for lane in self._broker.lanes:
            count += await self._add_again(lane, now)
        await self._bring_in()
        await self._dispatch.unplace_all()
        await self._letters.publish(0)
        await self._begin_epoch()
        log.info("rebuilt_dispatch", jobs=count)
        probe.reached("rebuilt", count)

    async def _begin_epoch(self) -> None:
        epoch = secrets.token_hex(8)
        await self._dispatch.set_epoch(self._broker.keys.base, epoch)
        await self._broker.set_epoch(epoch)

    async def _put_right(self) -> None:
        """What went by Redis's clock: deliveries and the ZSET."""
        await self._broker.restamp()
        self._horizon = None
        probe.reached("filling")
        await self._bring_in(SET_BACK_SECONDS)
        await self._clock.done()

    # Entries that are missing

    async def _add_again(self, lane: str, before: datetime) -> int:
        count = 0
        while ids := await self._dispatch.undelivered(lane, before):
            await self._broker.publish((lane, job_id) for job_id in ids)
            count += len(ids)
            if len(ids) < PAGE:
                break
        if count:
            metrics.added_again.inc(count)
            log.warning("jobs_added_again", lane=lane, count=count)
        return count

    async def _bring_in(self, overdue_seconds: float = 0) -> None:
        """Move the horizon on, and with it what becomes due before it into the ZSET. The first time also what is overdue by so much."""
        until = await self._dispatch.moment(-HORIZON_SECONDS)
        since = self._horizon or await self._dispatch.moment(overdue_seconds)
        if self._horizon is not None and (until - since).total_seconds() < HORIZON_STEP_SECONDS:
            return
        for lane in self._broker.lanes:
            async for page in self._dispatch.due_soon(lane, since, until):
                await self._broker.delay(page)
        self._horizon = until

    # Jobs whose worker is dead and that no entry leads to

    async def _reclaim_orphans(self) -> None:
        now = time.monotonic()
        unseen = None if self._orphans_sought_at is None else now - self._orphans_sought_at
        if unseen is None or await self._leases.any_died(unseen + ORPHANS_FOR_SECONDS):
            while ids := await self._dispatch.orphans():
                if not await self._triage.reclaim(ids) or len(ids) < PAGE:
                    break
        self._orphans_sought_at = now
