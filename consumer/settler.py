"""Brings outcomes home: PostgreSQL first, under the fence; then Redis.

What PostgreSQL does not confirm is never acknowledged. What Redis does not hear is repaired by the reaper.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable

from consumer.attempt import Attempt
from consumer.outcome import Abort, Bury, HandBack, Outcome, Retry, Snoozed, Succeeded, clean, describe
from consumer.progress import ProgressBoard
from consumer.triage import Triage
from shared import metrics, probe
from shared.batch import Batcher, ParallelBatcher
from shared.broker import Broker
from shared.database import DataError
from shared.errors import BrokerUnavailableError, DatabaseUnavailableError
from shared.events import Announcer
from shared.job_store import JobStore
from shared.lifecycle import Status
from shared.log import get_log
from shared.models import Entry, Letter

log = get_log()

Settled = tuple[Attempt, Outcome]
BATCH = 500
AT_A_TIME = 2  # batches, each on a connection of its own: one waits for the disk while the statement of the other runs
WORTH_ANOTHER = 50  # jobs; for fewer a statement costs too much each
RETRY_SECONDS = 0.25


class Settler:
    """Settles what the worker hands it, in batches."""

    def __init__(self, jobs: JobStore, broker: Broker, triage: Triage, board: ProgressBoard) -> None:
        self._jobs = jobs
        self._broker = broker
        self._triage = triage
        self._board = board
        self._on_settled: Callable[[list[Attempt]], None] = lambda _: None
        self._outcomes: Batcher[Settled] = ParallelBatcher(self._settle, BATCH, most=AT_A_TIME, worth=WORTH_ANOTHER)
        self._acks: Batcher[Entry] = Batcher(self._ack, 2 * BATCH)
        self._news = Announcer(broker)

    def put(self, attempt: Attempt, outcome: Outcome) -> None:
        """Settle this soon."""
        self._outcomes.put((attempt, outcome))

    async def run(self, on_settled: Callable[[list[Attempt]], None]) -> None:
        """Settle until `close`, then what is left. `on_settled(attempts)` hears when PostgreSQL has said whose they are."""
        self._on_settled = on_settled
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._acks.run())
            tasks.create_task(self._news.run())
            await self._outcomes.run()
            self._acks.close()
            self._news.close()

    async def drained(self) -> None:
        """Wait until all outcomes are settled."""
        await self._outcomes.drained()

    def close(self) -> None:
        """End `run` when all is settled."""
        self._outcomes.close()

    async def _settle(self, batch: list[Settled]) -> None:
        piles: dict[tuple[str, type[Outcome]], list[Settled]] = defaultdict(list)
        for attempt, outcome in batch:
            piles[attempt.lease.id, type(outcome)].append((attempt, outcome))
        for (lease_id, kind), pile in piles.items():
            await self._persist(_MOVES[kind], pile, lease_id)
            metrics.settled.labels(kind.__name__.lower()).inc(len(pile))
        self._on_settled([attempt for attempt, _ in batch])

    async def _persist(self, move: "Move", pile: list[Settled], lease_id: str) -> None:
        """Repeat until PostgreSQL has answered. A repeated move that had gone through wins nothing; triage then finds it done."""
        while True:
            try:
                return await self._settle_pile(move, pile, lease_id)
            except DatabaseUnavailableError:
                await asyncio.sleep(RETRY_SECONDS)
            except DataError as error:
                return await self._bisect(move, pile, lease_id, error)

    async def _settle_pile(self, move: "Move", pile: list[Settled], lease_id: str) -> None:
        if self._board.has_news:
            await self._board.deliver({attempt.job.id for attempt, _ in pile})
        probe.reached("settling", pile)
        won = await move(self, pile, lease_id)
        probe.reached("settled", pile)
        if won:
            self._news.put(_STATES[type(pile[0][1])], won)
        if lost := [attempt for attempt, _ in pile if attempt.job.id not in won]:
            await self._lost(lost)

    async def _bisect(self, move: "Move", pile: list[Settled], lease_id: str, error: Exception) -> None:
        """PostgreSQL refuses the batch for what one member of it holds: find that one, settle the others."""
        if len(pile) > 1:
            middle = len(pile) // 2
            await self._persist(move, pile[:middle], lease_id)
            await self._persist(move, pile[middle:], lease_id)
            return
        [(attempt, _)] = pile
        log.error("outcome_refused", job_id=attempt.job.id, error=str(error))
        await self._persist(_MOVES[Bury], [(attempt, Bury("invalid_result", clean(describe(error), 500)))], lease_id)

    async def _lost(self, attempts: list[Attempt]) -> None:
        """Not ours any more, or settled by a try whose answer was lost: the rows know."""
        metrics.fenced.inc(len(attempts))
        for attempt in attempts:
            log.warning("settle_not_ours", job_id=attempt.job.id, attempt=attempt.job.attempt)
        try:
            await self._triage.sort_out([attempt.entry for attempt in attempts], own_lease="")
        except BrokerUnavailableError as error:
            log.warning("entries_left_to_the_reaper", count=len(attempts), error=str(error))

    async def _ack(self, entries: list[Entry]) -> None:
        probe.reached("acking", entries)
        await self._tell_redis(self._broker.ack(entries), len(entries))
        probe.reached("acked", entries)

    async def _tell_redis(self, call: Awaitable[None], count: int) -> None:
        try:
            await call
        except BrokerUnavailableError as error:
            log.warning("entries_left_to_the_reaper", count=count, error=str(error))

    # One method for each outcome: the move in PostgreSQL, then the entry. Each returns the ids that were still ours.

    async def _succeed(self, pile: list[Settled], lease_id: str) -> Iterable[str]:
        won = await self._jobs.succeed([(a.job.id, a.job.attempt, o.result) for a, o in pile if isinstance(o, Succeeded)], lease_id)
        self._acks.put_all(attempt.entry for attempt, _ in pile if attempt.job.id in won)
        return won

    async def _retry(self, pile: list[Settled], lease_id: str) -> Iterable[str]:
        rows = [(a.job.id, a.job.attempt, o.delay, o.error, o.trace) for a, o in pile if isinstance(o, Retry)]
        return await self._postponed(pile, await self._jobs.retry(rows, lease_id))

    async def _snooze(self, pile: list[Settled], lease_id: str) -> Iterable[str]:
        rows = [(a.job.id, a.job.attempt, o.delay) for a, o in pile if isinstance(o, Snoozed)]
        return await self._postponed(pile, await self._jobs.snooze(rows, lease_id))

    async def _postponed(self, pile: list[Settled], delays: dict[str, float]) -> Iterable[str]:
        entries = [(attempt.entry, delays[attempt.job.id]) for attempt, _ in pile if attempt.job.id in delays]
        await self._tell_redis(self._broker.postpone(entries), len(entries))
        return delays

    async def _bury(self, pile: list[Settled], lease_id: str) -> Iterable[str]:
        rows = [(a.job.id, a.job.attempt, o.reason, o.error, o.trace) for a, o in pile if isinstance(o, Bury)]
        letters = await self._jobs.bury(rows, lease_id)
        pairs = [(letters[attempt.job.id], attempt.entry) for attempt, _ in pile if attempt.job.id in letters]
        await self._tell_redis(self._place(pairs), len(pairs))
        return letters

    async def _place(self, pairs: list[tuple[Letter, Entry]]) -> None:
        try:
            await self._triage.bury(pairs)
        except DatabaseUnavailableError as error:
            log.warning("letters_left_to_the_reconciler", count=len(pairs), error=str(error))

    async def _hand_back(self, pile: list[Settled], lease_id: str) -> Iterable[str]:
        won = await self._jobs.hand_back([(attempt.job.id, attempt.job.attempt) for attempt, _ in pile], lease_id)
        entries = [attempt.entry for attempt, _ in pile if attempt.job.id in won]
        await self._tell_redis(self._broker.requeue(entries), len(entries))
        return won

    async def _abort(self, pile: list[Settled], lease_id: str) -> Iterable[str]:
        won = await self._jobs.abort([(attempt.job.id, attempt.job.attempt) for attempt, _ in pile], lease_id)
        entries = [attempt.entry for attempt, _ in pile if attempt.job.id in won]
        await self._tell_redis(self._broker.ack(entries), len(entries))
        return won


Move = Callable[[Settler, list[Settled], str], Awaitable[Iterable[str]]]

_STATES: dict[type[Outcome], Status] = {
    Succeeded: Status.COMPLETED,
    Retry: Status.RETRYING,
    Snoozed: Status.SCHEDULED,
    Bury: Status.FAILED,
    HandBack: Status.PENDING,
    Abort: Status.CANCELLED,
}

_MOVES: dict[type[Outcome], Move] = {
    Succeeded: Settler._succeed,  # noqa: SLF001 - the table belongs to the class
    Retry: Settler._retry,  # noqa: SLF001
    Snoozed: Settler._snooze,  # noqa: SLF001
    Bury: Settler._bury,  # noqa: SLF001
    HandBack: Settler._hand_back,  # noqa: SLF001
    Abort: Settler._abort,  # noqa: SLF001
}
