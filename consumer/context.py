"""What a coroutine handler gets as its first argument, and what handlers elsewhere are connected to."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from consumer.blocking import BlockingContext, Call
from consumer.effects import Effects
from consumer.once import Function, Releases, once
from consumer.progress import ProgressBoard
from shared.effect_store import EffectStore
from shared.errors import StaleAttemptError
from shared.log import get_log
from shared.models import Claimed, Lease


class Shared(NamedTuple):
    """What all contexts of a worker have in common."""

    resources: Mapping[str, Any]
    effects: EffectStore
    board: ProgressBoard


class JobContext:
    """See shared.jobs.Context. Kept small: one is made for every attempt, the rest when the handler asks for it."""

    __slots__ = ("_blocking", "_cancelled", "_job", "_lease", "_log", "_remote", "_shared")

    def __init__(self, job: Claimed, lease: Lease, shared: Shared) -> None:
        self._job = job
        self._lease = lease
        self._shared = shared
        self._cancelled = False
        self._log: Any = None
        self._remote: Effects | None = None
        self._blocking: BlockingContext | None = None

    @property
    def job_id(self) -> str:
        """UUIDv7 of the job."""
        return self._job.id

    @property
    def attempt(self) -> int:
        """Grows with every claim, never reset."""
        return self._job.attempt

    @property
    def resources(self) -> Mapping[str, Any]:
        """What the worker shares among handlers."""
        return self._shared.resources

    @property
    def log(self) -> Any:
        """Logger that carries the job's id, type and attempt."""
        if self._log is None:
            self._log = get_log().bind(job_id=self._job.id, job_type=self._job.type, attempt=self._job.attempt)
        return self._log

    @property
    def cancelled(self) -> bool:
        """Whether the job should stop."""
        return self._cancelled

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._cancelled = value
        if self._blocking is not None:
            self._blocking.cancelled = value

    @property
    def checkpoint_data(self) -> Any:
        """What the newest checkpoint holds, None before the first."""
        return self.remote.latest_checkpoint()

    def progress(self, percent: float, message: str = "") -> None:
        """Show how far the job has come."""
        self.remote.note(percent, message)

    async def checkpoint(self, data: Any) -> None:
        """Store `data` for the next attempt."""
        if not await self.remote.checkpoint(data):
            raise StaleAttemptError("the checkpoint was not stored: the job is not this attempt's any more")

    async def once(self, key: str, fn: Function, *, uncertain: Function | None = None, released_by: Releases = ()) -> Any:
        """Run an effect that must not happen twice."""
        return await once(self.remote, key, fn, uncertain, released_by)

    @property
    def remote(self) -> Effects:
        """The end that writes to PostgreSQL, for handlers outside this event loop."""
        if self._remote is None:
            self._remote = Effects(self._shared.effects, self._shared.board, self._job, self._lease)
        return self._remote

    def for_thread(self, loop: asyncio.AbstractEventLoop) -> BlockingContext:
        """Return the context of a handler that runs in a thread. Call it in the loop."""
        call = call_from_thread(self.remote, loop)
        self._blocking = BlockingContext(self.job_id, self.attempt, self.log, call, self.resources)
        self._blocking.cancelled = self._cancelled
        return self._blocking


def call_from_thread(effects: Effects, loop: asyncio.AbstractEventLoop) -> Call:
    """Return the `call` of handlers that run in a thread of this process."""

    def call(method: str, *args: Any) -> Any:
        if method == "progress":  # it only leaves a note, and a handler that reports in a tight loop should not wait for ours each time
            return effects.note(*args)
        return asyncio.run_coroutine_threadsafe(getattr(effects, method)(*args), loop).result()

    return call
