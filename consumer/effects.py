"""The end of a handler's context that talks to PostgreSQL. It lives in the consumer's event loop, wherever the handler runs.

Arguments and results of the coroutine methods are plain JSON values: handlers in threads and in child processes call them by name.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from consumer.once import DONE, GRANTED, STALE, UNCERTAIN
from consumer.progress import ProgressBoard, checked
from shared import probe
from shared.effect_store import EffectStore, Owner, Reservation
from shared.errors import DatabaseUnavailableError
from shared.models import Claimed, Lease

T = TypeVar("T")

MAX_KEY_CHARS = 200
MAX_CHECKPOINT_BYTES = 1024 * 1024
RETRY_SECONDS = 0.25

_under_way: set["asyncio.Task[Any]"] = set()  # the loop itself holds tasks only weakly


class Effects:
    """What one attempt writes down. Waits for PostgreSQL while it is away, and goes on with a write whose handler is cancelled."""

    __slots__ = ("_board", "_checkpoint", "_owner", "_reserved", "_store", "_turn")

    def __init__(self, store: EffectStore, board: ProgressBoard, job: Claimed, lease: Lease) -> None:
        self._store = store
        self._board = board
        self._owner = Owner(job.id, job.attempt, lease.id)
        self._checkpoint = job.checkpoint
        self._reserved: set[str] = set()  # granted to this attempt, end unknown
        self._turn = asyncio.Lock()  # what is written first is stored first

    # Progress and checkpoint

    def note(self, percent: float, message: str = "") -> None:
        """Like `progress`, from any thread and at once."""
        self._board.put(checked(self._owner, percent, message))

    async def progress(self, percent: float, message: str = "") -> None:
        """Show how far the attempt has come. Raises ValueError unless 0 <= percent <= 100."""
        self.note(percent, message)

    async def checkpoint(self, data: Any) -> bool:
        """Store `data` with the job; False when the job is not ours any more. Raises ValueError for what is no JSON or too large."""
        encoded = _checkpoint_json(data)
        saved = await _in_its_own_task(self._surely(lambda: self._store.save_checkpoint(self._owner, encoded)))
        if saved:
            self._checkpoint = encoded
        return saved

    async def checkpoint_data(self) -> Any:
        """Return the newest checkpoint, None before the first."""
        return self.latest_checkpoint()

    def latest_checkpoint(self) -> Any:
        """Like `checkpoint_data`, for who lives in the loop."""
        return None if self._checkpoint is None else msgspec.json.decode(self._checkpoint)

    # Once

    async def begin(self, key: str) -> dict[str, Any]:
        """Reserve an effect, or say how it stands. Raises ValueError for a bad key.

        {"state": "granted"}, {"state": "done", "result"}, {"state": "uncertain", "attempt", "began_at", "is_ours"}, {"state": "stale"}.
        """
        _check_key(key)
        beginning = _spawned(self._begin(key))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            _spawned(self._withdraw(key, beginning))
            raise

    async def take_over(self, key: str, attempt: int) -> bool:
        """Make the uncertain effect of an earlier attempt ours; False when it is not uncertain any more, or the job not ours."""
        ours = await _in_its_own_task(self._surely(lambda: self._store.take_over(self._owner, key, attempt)))
        if ours:
            self._reserved.add(key)
        return ours

    async def record(self, key: str, result: Any) -> bool:
        """Say that the effect happened; False when it is not ours any more."""
        probe.reached("effect_recording", key)
        encoded = msgspec.json.encode(result)
        recorded = await _in_its_own_task(self._surely(lambda: self._store.record(self._owner, key, encoded)))
        self._reserved.discard(key)
        return recorded

    async def release(self, key: str) -> bool:
        """Say that the effect did not happen."""
        released = await _in_its_own_task(self._surely(lambda: self._store.release(self._owner, key)))
        self._reserved.discard(key)
        return released

    async def _begin(self, key: str) -> dict[str, Any]:
        found = self._standing(key, await self._surely(lambda: self._store.reserve(self._owner, key)))
        if found["state"] == GRANTED:
            self._reserved.add(key)
            probe.reached("effect_reserved", key)
        return found

    async def _withdraw(self, key: str, beginning: "asyncio.Task[dict[str, Any]]") -> None:
        """The handler was cancelled before it heard the answer: the effect has not begun, and must not look as if it had."""
        if (await beginning)["state"] == GRANTED:
            await self.release(key)

    def _standing(self, key: str, found: Reservation | None) -> dict[str, Any]:
        if found is None:
            return {"state": STALE}
        if found.is_done:
            return {"state": DONE, "result": None if found.result is None else msgspec.json.decode(found.result)}
        is_ours = (found.attempt, found.lease_id) == self._owner[1:]
        if is_ours and key not in self._reserved:
            return {"state": GRANTED}
        return {"state": UNCERTAIN, "attempt": found.attempt, "began_at": found.began_at.isoformat(), "is_ours": is_ours}

    async def _surely(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeat until PostgreSQL has answered: without it the job could not be settled either."""
        async with self._turn:
            while True:
                try:
                    return await write()
                except DatabaseUnavailableError:
                    await asyncio.sleep(RETRY_SECONDS)


async def settled(within: float) -> None:
    """Wait some seconds for writes that are under way: the end of a process should not make an effect uncertain that is done."""
    if _under_way:
        await asyncio.wait(_under_way, timeout=within)


async def _in_its_own_task(work: Coroutine[Any, Any, T]) -> T:
    """Cancelling who waits does not cancel the work: it would drop a connection that others share, and leave the outcome unknown."""
    return await asyncio.shield(_spawned(work))


def _spawned(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return task


def _check_key(key: str) -> None:
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_CHARS or not key.isprintable():
        raise ValueError(f"the key of an effect is a text of 1 to {MAX_KEY_CHARS} printable characters, not {str(key)[:50]!r}")


def _checkpoint_json(data: Any) -> bytes:
    try:
        encoded = msgspec.json.encode(data)
    except Exception as error:
        raise ValueError(f"a checkpoint must be JSON: {error}") from error
    if len(encoded) > MAX_CHECKPOINT_BYTES:
        raise ValueError(f"a checkpoint may have {MAX_CHECKPOINT_BYTES} bytes of JSON, this one has {len(encoded)}")
    return encoded
