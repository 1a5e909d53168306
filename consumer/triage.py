"""What to do with an entry whose job could not be claimed, or that nobody acknowledged: the job's row says it.

Every repair is idempotent; any worker and any reaper may do it, also twice.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum

from consumer.suspects import suspicious_at
from shared import metrics, probe
from shared.broker import Broker
from shared.dispatch_store import DispatchStore
from shared.job_store import MANY, JobStore
from shared.lifecycle import TERMINAL, Status
from shared.log import get_log
from shared.models import UNKNOWN_JOB, Entry, Letter, Reclaimed, Seen

log = get_log()

DEFER_SECONDS = 15.0
YIELD_SECONDS = 0.25
BUSY_SECONDS = 1.0


class Verdict(Enum):
    """What an entry deserves."""

    ACK = "drop it: the job is over, or runs elsewhere under a lease that holds"
    LEAVE = "leave it: it is the proof that a live worker has the job"
    POSTPONE = "the job is due later"
    EXPIRE = "the job's start deadline passed"
    REQUEUE = "the job waits to run"
    YIELD = "another worker knows its type"
    DEFER = "the job waits for a worker that knows its type"
    BUSY = "the job cannot run here now: another suspect does, or an attempt of its own that was lost with the database"
    RELEASE = "our own claim of which we never heard: hand it back"
    RECLAIM = "its worker is dead"
    UNKNOWN = "no such job"


def judge(seen: Seen | None, *, own_lease: str | None, types: Collection[str] | None, busy_at: int = MANY) -> Verdict:
    """Decide for one entry. `own_lease` and `types` are those of the worker that asks; a reaper has neither.

    With `busy_at` crashes or more the job cannot run there now.
    """
    if seen is None:
        return Verdict.UNKNOWN
    if seen.status in TERMINAL:
        return Verdict.ACK
    if seen.status == Status.PROCESSING:
        return _judge_running(seen, own_lease)
    if seen.expired:
        return Verdict.EXPIRE
    if seen.due_in > 0:
        return Verdict.POSTPONE
    return Verdict.REQUEUE if types is None else _judge_waiting(seen, types, busy_at)


def _judge_waiting(seen: Seen, types: Collection[str], busy_at: int) -> Verdict:
    if seen.type not in types:
        return Verdict.YIELD if seen.served else Verdict.DEFER
    return Verdict.BUSY if seen.crashes >= busy_at else Verdict.REQUEUE


def _judge_running(seen: Seen, own_lease: str | None) -> Verdict:
    if own_lease is not None and seen.lease_id == own_lease:
        return Verdict.RELEASE
    if not seen.lease_alive:
        return Verdict.RECLAIM
    return Verdict.LEAVE if own_lease is None else Verdict.ACK


_DEFERRED = {Verdict.YIELD: YIELD_SECONDS, Verdict.DEFER: DEFER_SECONDS, Verdict.BUSY: BUSY_SECONDS}


class Triage:
    """Carries the verdicts out."""

    def __init__(self, jobs: JobStore, dispatch: DispatchStore, broker: Broker, max_crashes: int) -> None:
        self._jobs = jobs
        self._dispatch = dispatch
        self._broker = broker
        self._max_crashes = max_crashes
        self._suspicious_at = suspicious_at(max_crashes)

    async def sort_out(
        self, entries: Iterable[Entry], *, own_lease: str | None = None, types: Collection[str] | None = None, run_here: bool = False
    ) -> None:
        """Do with each entry what its job's row demands. `run_here`: the caller runs these jobs already, whatever their rows say."""
        entries = list(entries)
        seen = await self._jobs.inspect(list({entry.job_id for entry in entries if entry.job_id}))
        busy_at = 0 if run_here else self._suspicious_at
        piles: dict[Verdict, list[Entry]] = defaultdict(list)
        for entry in entries:
            job = seen.get(entry.job_id or "")
            piles[judge(job, own_lease=own_lease, types=types, busy_at=busy_at)].append(entry)
        for verdict, pile in piles.items():
            await self._carry_out(verdict, pile, seen, own_lease or "")
        probe.reached("triaged", piles)

    async def drop(self, entries: Sequence[Entry]) -> None:
        """Drop second entries of jobs that the caller has an entry of."""
        if entries:
            await self._broker.ack(entries)

    async def release(self, entries: Mapping[str, Entry], own_lease: str, known: Callable[[], Collection[str]]) -> Collection[str]:
        """Hand back those of these jobs that are claimed under this lease, and let them run again. Returns their ids.

        Not those that the worker knows: what it claims while PostgreSQL is asked counts as known when the answer is there.
        """
        seen = await self._jobs.inspect(list(entries))
        claimed = {job_id for job_id, job in seen.items() if judge(job, own_lease=own_lease, types=None) is Verdict.RELEASE}
        if ours := claimed.difference(known()):
            log.warning("claims_released", count=len(ours))
            await self._carry_out(Verdict.RELEASE, [entries[job_id] for job_id in ours], seen, own_lease)
        return ours

    async def reclaim(self, ids: Collection[str], entries: Iterable[Entry] = ()) -> list[Reclaimed]:
        """Take jobs from dead leases and see that they run again or are in the DLQ. `entries` are those that led to them."""
        reclaimed = await self._jobs.reclaim(list(ids), self._max_crashes)
        metrics.reclaimed.inc(len(reclaimed))
        for job in reclaimed:
            log.warning("job_reclaimed", job_id=job.id, dead=job.letter is not None)
        await self._broker.publish((job.lane, job.id) for job in reclaimed if job.letter is None)
        if letters := [(job.letter, None) for job in reclaimed if job.letter]:
            await self.bury(letters)
        await self._broker.ack(entries)
        return reclaimed

    async def bury(self, letters: Sequence[tuple[Letter, Entry | None]]) -> None:
        """Put letters of dead jobs into the DLQ stream, once each, drop the jobs' entries, and note where the letters are."""
        added = await self._broker.bury(letters)
        probe.reached("buried", letters)
        placed = await self._dispatch.place_letters(added)
        if surplus := [letter.place for letter in added if letter.job_id not in placed]:
            await self._broker.letters.forget(surplus)

    async def _carry_out(self, verdict: Verdict, pile: list[Entry], seen: dict[str, Seen], own_lease: str) -> None:
        ids = {entry.job_id or "" for entry in pile}
        match verdict:
            case Verdict.ACK:
                await self._broker.ack(pile)
            case Verdict.REQUEUE:
                await self._broker.requeue(pile)
            case Verdict.RECLAIM:
                await self.reclaim(ids, pile)
            case Verdict.UNKNOWN:
                await self._bury_strangers(pile)
            case Verdict.RELEASE:
                await self._jobs.hand_back([(job_id, seen[job_id].attempt) for job_id in ids], own_lease)
                await self._broker.requeue(pile)
            case _:
                await self._let_wait(verdict, pile, {job_id: seen[job_id].due_in for job_id in ids})

    async def _let_wait(self, verdict: Verdict, pile: list[Entry], due_in: dict[str, float]) -> None:
        if verdict is Verdict.EXPIRE:
            await self._jobs.expire(list(due_in))
            await self._broker.ack(pile)
        elif verdict is not Verdict.LEAVE:
            if verdict in _DEFERRED:
                due_in |= await self._jobs.defer(list(due_in), _DEFERRED[verdict])
            await self._broker.postpone((entry, due_in[entry.job_id or ""]) for entry in pile)

    async def _bury_strangers(self, pile: list[Entry]) -> None:
        now = datetime.now(UTC)
        for entry in pile:
            log.warning("unknown_job", entry_id=entry.entry_id, job_id=entry.job_id)
            error = "the entry names no job" if entry.job_id is None else "no job has this id"
            letter = Letter(entry.job_id or "", "", UNKNOWN_JOB, f"{error} (entry {entry.entry_id})", 0, now)
            await self._broker.bury([(letter, entry)])
