"""The worker: read, claim, run, decide, settle, ack.

Entries come from the streams, the right to run a job from PostgreSQL. Each step takes as many jobs as there are; one batch is
settled while the next is claimed and the one after that is read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from consumer.attempt import Attempt, run_handler
from consumer.context import JobContext, Shared
from consumer.every import pause_until
from consumer.in_flight import InFlight
from consumer.outcome import Abort, Outcome, decide
from consumer.processes.pool import ProcessPool
from consumer.reader import Reader
from consumer.registry import Registry
from consumer.settler import Settler
from consumer.slots import Slots
from consumer.suspects import Suspects
from consumer.triage import Triage
from consumer.unanswered import UnansweredClaims
from shared import probe
from shared.errors import BrokerUnavailableError, DatabaseUnavailableError
from shared.job_store import MANY, JobStore
from shared.log import get_log
from shared.models import Claimed, Entry, Lease
from shared.redis_client import GroupMissingError
from shared.settings import Settings

log = get_log()

AFTER_ERROR_SECONDS = 0.25
HANDLER_THREADS = "handler"  # how the names of threads begin in which handlers run


class Worker:
    """Runs jobs, at most `settings.concurrency` at a time."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        jobs: JobStore,
        reader: Reader,
        triage: Triage,
        settler: Settler,
        shared: Shared,
        holds: Callable[[Lease], bool],
    ) -> None:
        self._settings = settings
        self._holds = holds
        self._handlers = registry.handlers
        self._types = registry.types()
        self._jobs = jobs
        self._suspects = Suspects(jobs, settings.max_crashes, settings.concurrency)
        self._reader = reader
        self._triage = triage
        self._unanswered = UnansweredClaims(triage)
        self._settler = settler
        self._shared = shared
        self._threads = ThreadPoolExecutor(min(settings.concurrency, 64), thread_name_prefix=HANDLER_THREADS)
        self._processes = ProcessPool(settings)
        self._lease: Lease | None = None
        self._has_lease = asyncio.Event()
        self._slots = Slots(settings.concurrency, settings.payload_mb * 1_000_000)
        self._in_hand: list[Entry] = []  # read, and being claimed by `_beginning`
        self._beginning: asyncio.Task[None] | None = None
        self.in_flight = InFlight(jobs, self._end)
        self._slot_freed = asyncio.Event()
        self._stop = asyncio.Event()

    # Read

    async def run(self) -> None:
        """Work until `drain`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._settler.run(self._settled))
            await self._has_lease.wait()
            suspects = tasks.create_task(self._run_suspects())
            while not self._stop.is_set():
                await self._turn(tasks)
            await self._begun()
            await suspects
            await self._put_suspects_off()
            await self._finish_running()
            await self._settler.drained()
            self._settler.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._processes.close()

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        """Read a batch and begin it; the next one is read meanwhile."""
        async with self._interruptions():
            await self._lease_is_sure()
            if free := await self._free_slots():
                if self._reader.in_doubt:
                    await self._begun()  # what is in hand is no stray, and it is no longer known when its claim has broken off
                worker = self._current_lease().worker
                entries = await self._reader.read(worker, free, self._known_entries, may_wait=not self._stop.is_set())
                await self._begun()
                self._in_hand = entries
                self._beginning = tasks.create_task(self._begin_in_hand())

    async def _begin_in_hand(self) -> None:
        async with self._interruptions():
            await self._begin(self._in_hand)
        self._in_hand = []
        self._slot_freed.set()

    async def _begun(self) -> None:
        if self._beginning is not None:
            await self._beginning

    @asynccontextmanager
    async def _interruptions(self) -> AsyncIterator[None]:
        """Let a store be away: what it interrupts is found again by the next read, which begins with the entries that are ours."""
        try:
            yield
        except GroupMissingError:
            log.warning("group_missing")
            await self._restore_groups()
        except (BrokerUnavailableError, DatabaseUnavailableError) as error:
            log.warning("worker_interrupted", error=str(error))
            probe.reached("interrupted", error)
            self._reader.doubt()
            await pause_until(self._stop, AFTER_ERROR_SECONDS)

    async def _restore_groups(self) -> None:
        try:
            await self._reader.restore_groups()
        except BrokerUnavailableError:
            await pause_until(self._stop, AFTER_ERROR_SECONDS)

    async def _lease_is_sure(self) -> None:
        """Wait while our beats do not get through: what we claim now could be somebody else's before it begins."""
        while not self._stop.is_set() and not self._holds(self._current_lease()):
            await pause_until(self._stop, AFTER_ERROR_SECONDS)

    async def _free_slots(self) -> int:
        """Return how many jobs may be started now; waits for the first, 0 when it is time to stop."""
        while not self._stop.is_set():
            if free := self._slots.free(len(self._in_hand) + len(self._suspects.held), len(self.in_flight)):
                return free
            self._slot_freed.clear()
            await self._slot_freed.wait()
        return 0

    # Claim

    async def _begin(self, entries: list[Entry]) -> None:
        """Claim the jobs of these entries and start those that are ours now."""
        fresh: dict[str, Entry] = {}
        strays: list[Entry] = []
        again: list[Entry] = []
        for entry in entries:
            if entry.job_id is None or entry.job_id in fresh or entry.job_id in self.in_flight:
                strays.append(entry)
            elif self._suspects.holds(entry.job_id):
                again.append(entry)  # the reconciler takes a job that is due and has been read for one that was lost
            else:
                fresh[entry.job_id] = entry
        await self._triage.drop(again)
        lease = self._current_lease()
        if fresh:
            self._start_all(await self._claim(fresh, lease, self._suspects.crashes), fresh, lease)
        if fresh:
            await self._suspects.hold(fresh, self._types)
        probe.reached("claimed", entries)
        if fresh or strays:
            await self._sort_out([*fresh.values()], strays, lease)

    async def _claim(self, entries: dict[str, Entry], lease: Lease, crashes_below: int = MANY) -> list[Claimed]:
        try:
            return await self._jobs.claim(list(entries), lease, self._types, crashes_below)
        except DatabaseUnavailableError:
            self._unanswered.note(entries)
            raise

    async def _run_suspects(self) -> None:
        """Begin one after the other."""
        while not self._stop.is_set():
            await self._suspects.changed()
            await self._lease_is_sure()
            if not self._stop.is_set() and (found := self._suspects.next()):
                async with self._interruptions():
                    await self._begin_suspect(*found)

    async def _begin_suspect(self, job_id: str, entry: Entry) -> None:
        lease, entries = self._current_lease(), {job_id: entry}
        try:
            if self._reader.takes(entry):
                for attempt in self._start_all(await self._claim(entries, lease), entries, lease):
                    self._suspects.note(attempt)
        finally:
            self._suspects.release(job_id)
            self._slot_freed.set()
        await self._sort_out([*entries.values()], [], lease)

    async def _put_suspects_off(self) -> None:
        if held := [*self._suspects.held]:
            async with self._interruptions():
                await self._sort_out(held, [], self._current_lease())
            self._suspects.clear()

    async def _sort_out(self, unclaimed: list[Entry], strays: list[Entry], lease: Lease) -> None:
        if unclaimed:
            await self._triage.sort_out(unclaimed, own_lease=lease.id, types=self._types)
        if strays:  # own_lease is empty: a second entry of a job that runs here is dropped, its claim is not handed back
            await self._triage.sort_out(strays, own_lease="", types=self._types, run_here=True)

    # Run

    def _start_all(self, claimed: Sequence[Claimed], entries: dict[str, Entry], lease: Lease) -> list[Attempt]:
        """Start these jobs and take their entries out of `entries`. None if the lease was lost meanwhile: triage then hands them back."""
        now = asyncio.get_running_loop().time()
        if lease is not self._lease:
            return []
        self._slots.take([job.payload for job in claimed])
        return [self._start(job, entries.pop(job.id), lease, now) for job in claimed]

    def _start(self, job: Claimed, entry: Entry, lease: Lease, now: float) -> Attempt:
        limit = job.timeout or self._settings.job_timeout_seconds
        attempt = Attempt(job, entry, lease, self._handlers[job.type], JobContext(job, lease, self._shared), limit, now, self._holds)
        self.in_flight.add(attempt)
        if job.cancel_requested:
            self._end(attempt, Abort())
        else:
            attempt.task = asyncio.create_task(self._attempt(attempt))
        return attempt

    async def _attempt(self, attempt: Attempt) -> None:
        ending = await run_handler(attempt, self._threads, self._processes)
        probe.reached("ended", (attempt, ending))
        self._end(attempt, decide(attempt.job, ending))

    # Decide and settle

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.ended:
            return
        attempt.ended = True
        self._slots.end()
        self._slot_freed.set()
        if attempt.lease is self._lease:
            self._settler.put(attempt, outcome)
        else:
            log.warning("outcome_dropped", reason="lease lost", job_id=attempt.job.id, attempt=attempt.job.attempt)

    def _settled(self, attempts: Iterable[Attempt]) -> None:
        over = self.in_flight.settled(attempts)
        self._slots.settle(attempt.job.payload for attempt in over)
        self._suspects.settled(over)
        self._slot_freed.set()

    # Keep order

    def adopt(self, lease: Lease) -> None:
        """Work under `lease` from now on. What runs under an earlier one is fenced: it is stopped, and never settled or acked."""
        self._lease = lease
        self._has_lease.set()
        self.in_flight.fence()
        self._suspects.clear()
        self._unanswered.clear()
        self._slots.let_go()

    async def look_for_strays(self) -> None:
        """Jobs may be claimed by us, and entries pending with us, that we know nothing of: the answer to a claim or a read was lost."""
        if self._lease is not None and not self._stop.is_set():
            await self._unanswered.look(self._lease, self._known_jobs)
            await self._reader.look_for_strays(self._lease.worker, self._settings.lease_seconds / 2, self._known_entries())

    def stop(self) -> None:
        """Read nothing more; `run` ends when what runs has ended or is handed back."""
        self._stop.set()
        self._slot_freed.set()
        self._suspects.wake()
        self._has_lease.set()

    @property
    def worker_name(self) -> str | None:
        """Our consumer name, None before the first lease."""
        return self._lease.worker if self._lease else None

    async def _finish_running(self) -> None:
        """Let handlers end within the grace time; stop the rest and hand their jobs back."""
        loop = asyncio.get_running_loop()
        self._processes.hand_back_waiting()
        await self._wait_for_handlers(loop.time() + self._settings.grace_seconds)
        self.in_flight.drain()
        await self._wait_for_handlers(loop.time() + 1)
        self.in_flight.abandon_all()

    async def _wait_for_handlers(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        while self._slots.used and (left := until - loop.time()) > 0:
            self._slot_freed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._slot_freed.wait()
            except TimeoutError:
                return

    def _known_entries(self) -> list[Entry]:
        return [*self._in_hand, *self._suspects.held, *(attempt.entry for attempt in self.in_flight)]

    def _known_jobs(self) -> set[str]:
        return {entry.job_id or "" for entry in self._known_entries()}

    def _current_lease(self) -> Lease:
        if self._lease is None:
            raise RuntimeError("reading begins with the first lease")
        return self._lease
