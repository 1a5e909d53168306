"""Makes the jobs of schedules when their ticks are due."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from consumer.misfires import decide
from shared import metrics, probe
from shared.broker import Broker
from shared.database import DataError
from shared.errors import BrokerUnavailableError
from shared.ids import new_id
from shared.job_template import job_from
from shared.log import get_log
from shared.models import NewJob
from shared.tick_store import Advance, DueSchedule, Run, TickStore
from shared.timetable import due_ticks, next_tick

log = get_log()

EVERY_SECONDS = 0.5  # a schedule that was put a moment ago may be due before any that was known
SOON_SECONDS = 0.02
BATCH = 100
DECIDE_SECONDS = 2.0  # after years of outage it takes long to count ticks; PostgreSQL ends a transaction that says nothing for 5 s
SPOILED_SECONDS = 60.0  # until another look at a schedule that this process can make nothing of

Work = tuple[list[Run], Advance]


class Scheduler:
    """Any number of them may run: a schedule that one has locked is passed over by the others, and a tick makes one job."""

    def __init__(self, ticks: TickStore, broker: Broker) -> None:
        self._ticks = ticks
        self._broker = broker
        self._spoiled: dict[str, float] = {}  # until when, by the monotonic clock

    async def step(self) -> float:
        """Make what is due; return the seconds until there may be more."""
        now = time.monotonic()
        self._spoiled = {name: until for name, until in self._spoiled.items() if until > now}
        looked_at, made = await self._make(BATCH)
        if made:
            probe.reached("scheduled", made)
            metrics.scheduled.inc(len(made))
            await self._publish(made)
        if looked_at == BATCH:
            return 0.0
        next_in = await self._ticks.next_due_in(list(self._spoiled))
        return EVERY_SECONDS if next_in is None else min(max(next_in, SOON_SECONDS), EVERY_SECONDS)

    async def _make(self, limit: int) -> tuple[int, list[NewJob]]:
        """Return how many schedules were due, and their new jobs."""
        names: list[str] = []
        try:
            return await self._committed(limit, names)
        except DataError as error:  # one has what PostgreSQL refuses; the others must not suffer
            if len(names) > 1:
                return await self._make(1)
            self._spoil(names, error)
            return len(names), []

    async def _committed(self, limit: int, names: list[str]) -> tuple[int, list[NewJob]]:
        """One transaction: the jobs, the notes which tick made them, and the next ticks. `names` gets those that were due."""
        async with self._ticks.due(limit, list(self._spoiled)) as (now, schedules, making):
            if not schedules:
                return 0, []
            names += (schedule.name for schedule in schedules)
            busy = await making.busy([schedule.name for schedule in schedules if schedule.overlap == "skip"])
            works = await asyncio.to_thread(self._decided, schedules, now, busy)  # a calendar may take its time
            made = await making.make([run for runs, _ in works for run in runs])
            await making.advance([advance for _, advance in works])
            probe.reached("ticking", names)
        _tell([advance for _, advance in works])
        return len(schedules), [run.job for run in made]

    def _decided(self, schedules: Sequence[DueSchedule], now: datetime, busy: set[str]) -> list[Work]:
        """Return what to do about the first schedules, as many as there is time for; the others stay due."""
        works: list[Work] = []
        deadline = time.monotonic() + DECIDE_SECONDS
        for schedule in schedules:
            if works and time.monotonic() > deadline:
                break
            try:
                works.append(_work_of(schedule, now, busy=schedule.name in busy))
            except Exception as error:  # noqa: BLE001 - a time zone that this machine lacks, a template of another version
                self._spoil([schedule.name], error)
        return works

    def _spoil(self, names: Iterable[str], error: Exception) -> None:
        """Leave it due, for a person to mend or for a process that knows more."""
        for name in names:
            log.error("schedule_spoiled", schedule=name, error=f"{type(error).__name__}: {error}")
            self._spoiled[name] = time.monotonic() + SPOILED_SECONDS

    async def _publish(self, jobs: Sequence[NewJob]) -> None:
        try:
            await self._broker.publish([(job.lane, job.id) for job in jobs])
        except BrokerUnavailableError as error:
            log.warning("publish_left_to_the_reconciler", count=len(jobs), error=str(error))


def _tell(advances: Sequence[Advance]) -> None:
    for advance in advances:
        if advance.skipped_reason == "misfire":
            log.warning("ticks_missed", schedule=advance.schedule, count=advance.skipped_count, newest=str(advance.skipped_tick))


def _work_of(schedule: DueSchedule, now: datetime, *, busy: bool) -> Work:
    due = due_ticks(schedule.timetable, schedule.next_at, now)
    decision = decide(due, now, schedule.misfire, alone=schedule.overlap == "skip", busy=busy)
    job = job_from(schedule.template)
    runs = [Run(schedule.name, tick, replace(job, id=new_id())) for tick in decision.run]  # they share one payload
    next_at = next_tick(schedule.timetable, now, schedule.next_at)
    last = runs[-1] if runs else None
    return runs, Advance(schedule.name, next_at, last and last.tick, last and last.job.id, *decision[1:])
