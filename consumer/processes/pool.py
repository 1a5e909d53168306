"""The children of a consumer: started when they are needed, at most so many, used again until they are tired."""

import asyncio
import math
import os
from contextlib import suppress

from consumer.attempt import DRAINING, FENCED, TIMED_OUT, Attempt, NotBegunError
from consumer.outcome import Decided, Ending, Outcome, Raised
from consumer.processes.process import ChildProcess
from shared.errors import ProcessDied
from shared.settings import Settings


class ProcessPool:
    """Runs attempts in children, one in each at a time. Costs nothing before the first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.processes or cpu_count())
        self._waiting: set[Attempt] = set()
        self._children: set[ChildProcess] = set()
        self._idle: list[ChildProcess] = []
        self._endings: set[asyncio.Task[None]] = set()

    async def run(self, attempt: Attempt) -> Ending:
        """Run the attempt in a child as soon as there is one; its time limit counts from then on.

        The first cancellation of the calling task asks the handler to end, the second one kills its process; the first one does, too,
        when the lease was lost: somebody else runs the job by then.
        """
        attempt.deadline = math.inf
        self._waiting.add(attempt)
        try:
            await self._turns.acquire()
        finally:
            self._waiting.discard(attempt)
        try:
            child = await self._child()
            self._begin(child, attempt)
            attempt.deadline = asyncio.get_running_loop().time() + attempt.limit
            outcome = await self._conversation(child, attempt)
            return attempt.forced_ending() if outcome is None else Decided(outcome)
        except ProcessDied as error:
            return attempt.forced_ending() if attempt.stop_reason else Raised(error)
        finally:
            self._turns.release()

    def _begin(self, child: ChildProcess, attempt: Attempt) -> None:
        try:
            attempt.begin()
        except NotBegunError:
            self._put_back(child)
            raise

    def hand_back_waiting(self) -> None:
        """Stop attempts that no child has begun: another worker may begin them now."""
        for attempt in [*self._waiting]:
            attempt.stop(DRAINING)

    async def close(self) -> None:
        """End every child; when it returns, none is left."""
        for child in [*self._children]:
            if child not in self._idle:
                child.kill()
            self._forget(child)
        await asyncio.gather(*self._endings)

    async def _child(self) -> ChildProcess:
        while self._idle:
            if (child := self._idle.pop()).usable:
                return child
            self._forget(child)
        child = await ChildProcess.start(self._settings)
        self._children.add(child)
        return child

    async def _conversation(self, child: ChildProcess, attempt: Attempt) -> Outcome | None:
        talk = asyncio.create_task(child.run(attempt.job, attempt.context.remote, attempt.context.log))
        asked = False
        while not talk.done():
            try:
                await asyncio.wait([talk])
            except asyncio.CancelledError:
                if asked or attempt.stop_reason in {"", FENCED}:
                    child.kill()
                else:
                    child.ask(attempt.job.id, timed_out=attempt.stop_reason == TIMED_OUT)
                asked = True
        self._put_back(child)
        return talk.result()

    def _put_back(self, child: ChildProcess) -> None:
        if child.usable:
            self._idle.append(child)
        else:
            self._forget(child)

    def _forget(self, child: ChildProcess) -> None:
        """Let it end; nobody waits for that but `close`."""
        if child in self._children:
            self._children.discard(child)
            ending = asyncio.create_task(child.retire())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)


def cpu_count() -> int:
    """How many processors this process may use."""
    with suppress(AttributeError):  # macOS does not say
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
