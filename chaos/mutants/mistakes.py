"""The mistakes. Each is applied inside a process of a chaos run before the service starts; nothing of it is reachable any other way."""

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

import consumer.handlers.webhook_deliver
import consumer.runtime
import shared.dlq_store
import shared.job_store
import shared.lease_store
import shared.line
import shared.redis_client
from consumer.clock_watch import ClockWatch
from consumer.heartbeat import Heartbeat
from consumer.outcome import Bury
from consumer.outgoing import Fetched
from consumer.reader import Reader
from consumer.reaper import Reaper
from consumer.reconciler import Reconciler
from consumer.scheduler import Scheduler
from consumer.settler import Settler
from consumer.webhook_signature import signed_headers
from producer.submit import Submitter
from shared.broker import Broker
from shared.errors import BrokerUnavailableError
from shared.job_store import JobStore
from shared.models import NewJob

Mistake = Callable[[], None]
MISTAKES: dict[str, Mistake] = {}
PATIENCE_SECONDS = 0.03
REPLY_SECONDS = 0.4
MOST_ENTRIES = 20
LATE_SECONDS = 4.0
SELDOM = 0.2


def mistake(function: Mistake) -> Mistake:
    """Register one, under its name."""
    MISTAKES[function.__name__.replace("_", "-")] = function
    return function


def _put(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def _script(broker: Any, name: str, old: str, new: str) -> None:
    script = broker._scripts[name]
    if old not in script.script:
        raise ValueError(f"{name}.lua has no {old!r} any more")
    broker._scripts[name] = broker.client.register_script(script.script.replace(old, new))


def _query(name: str, old: str, new: str) -> None:
    for queries in (shared.job_store.SQL, shared.dlq_store.MOVES, shared.lease_store.SQL):
        if name in queries:
            if old not in queries[name]:
                raise ValueError(f"the query {name} has no {old!r} any more")
            queries[name] = queries[name].replace(old, new)


def _scripts_changed(name: str, old: str, new: str) -> None:
    made = Broker.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        _script(self, name, old, new)

    _put(Broker, "__init__", init)


@mistake
def settle_does_not_wait_for_the_disk() -> None:
    """synchronous_commit=off for the settle."""
    _put(consumer.runtime, "DURABLE", {"synchronous_commit": "off"})


@mistake
def answer_before_commit() -> None:
    """2xx as soon as the job is taken."""
    submit = Submitter.submit

    async def hasty(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        if any(job.idempotency_key for job in jobs):
            return await submit(self, jobs)
        task = asyncio.create_task(submit(self, jobs))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return {}

    _put(Submitter, "submit", hasty)


@mistake
def publish_before_commit() -> None:
    """The entry is in the stream before the row is there."""
    persist = Submitter._persist

    async def eager(self: Any, group: list[Any]) -> None:
        with suppress(BrokerUnavailableError):
            await self._publisher._broker.publish((job.lane, job.id) for request in group for job in request.jobs)
        await asyncio.sleep(PATIENCE_SECONDS)
        await persist(self, group)

    _put(Submitter, "_persist", eager)


@mistake
def ack_before_settle() -> None:
    """The entry goes first, the row follows."""
    settle = Settler._settle_pile

    async def reversed_order(self: Any, move: Any, pile: list[Any], lease_id: str) -> None:
        await self._ack([attempt.entry for attempt, _ in pile])
        await settle(self, move, pile, lease_id)

    _put(Settler, "_settle_pile", reversed_order)


@mistake
def no_fence() -> None:
    """A settle asks for nothing but the id."""
    _query("succeed", "status = 'PROCESSING' AND attempts = won.attempt AND lease_id = $3", "(attempts >= won.attempt OR lease_id = $3)")


@mistake
def no_reconciler() -> None:
    """Nobody makes Redis agree with PostgreSQL again."""

    async def idle(_: Any) -> None:
        return None

    _put(Reconciler, "step", idle)


@mistake
def no_reaper() -> None:
    """Nobody takes over from the dead."""

    async def idle(_: Any) -> None:
        return None

    _put(Reaper, "step", idle)


@mistake
def cursor_begins_anew() -> None:
    """XAUTOCLAIM at 0-0 each time: it looks at the first thousand entries only."""
    take_over = Broker.take_over

    async def forgetful(self: Any, lane: str, idle_seconds: float, cursor: str) -> Any:
        del cursor
        return await take_over(self, lane, idle_seconds, "0-0")

    _put(Broker, "take_over", forgetful)


@mistake
def group_at_the_end() -> None:
    """The group is made at `$`: what is in the stream is skipped."""

    async def ensure(self: Any) -> None:
        for lane in self.lanes:
            try:
                with shared.redis_client.translated():
                    await self.client.xgroup_create(self.keys.stream(lane), self._group, id="$", mkstream=True)
            except BrokerUnavailableError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    _put(Broker, "ensure_groups", ensure)


@mistake
def consumer_dropped_with_pending() -> None:
    """DELCONSUMER takes its pending list with it."""
    _scripts_changed("drop_consumer", "if #pending > 0 then", "if false then")


@mistake
def maxlen() -> None:
    """XADD with MAXLEN trims entries that nobody has read."""
    _scripts_changed("publish", "redis.call('XADD', KEYS[1], '*'", f"redis.call('XADD', KEYS[1], 'MAXLEN', '{MOST_ENTRIES}', '*'")


@mistake
def retries_by_default() -> None:
    """A command whose answer is late is sent again, as redis-py does unless told otherwise."""

    async def stubborn(self: Any, *words: str | int) -> Any:
        line = self._connection
        async with self._turn:
            for limit in (REPLY_SECONDS, REPLY_SECONDS, REPLY_SECONDS, None):
                await line.connect()
                try:
                    async with asyncio.timeout(limit):
                        await line.send_packed_command(line.pack_command(*words), check_health=False)
                        return await line.read_response()
                except TimeoutError:
                    await line.disconnect()
        raise TimeoutError("no limit, and still no answer")

    _put(shared.line.Line, "call", stubborn)


@mistake
def cancelled_read() -> None:
    """XREADGROUP is cancelled when it takes long: what was on its way is stranded."""
    wait = Broker.wait

    async def impatient(self: Any, *args: Any) -> Any:
        try:
            return await asyncio.wait_for(wait(self, *args), PATIENCE_SECONDS)
        except TimeoutError:
            return []

    _put(Broker, "wait", impatient)


@mistake
def no_bisect() -> None:
    """What PostgreSQL refuses in one of a batch is the end of all of it."""
    bury = Bury

    async def sweeping(self: Any, move: Any, pile: list[Any], lease_id: str, error: Exception) -> None:
        del move
        verdicts = [(attempt, bury("invalid_result", str(error)[:500])) for attempt, _ in pile]
        await self._persist(consumer.settler._MOVES[bury], verdicts, lease_id)

    _put(Settler, "_bisect", sweeping)


@mistake
def attempt_reset_on_replay() -> None:
    """A replay begins to count at nought."""
    _query("replay", "failures = 0, crashes = 0", "attempts = 0, failures = 0, crashes = 0")


@mistake
def retry_at_once() -> None:
    """A failed job does not wait for its time."""
    retry = JobStore.retry

    async def hasty(self: Any, failed: Sequence[Any], lease_id: str) -> dict[str, float]:
        return await retry(self, [(job_id, attempt, 0.0, *why) for job_id, attempt, _, *why in failed], lease_id)

    _put(JobStore, "retry", hasty)


@mistake
def keys_are_forgotten() -> None:
    """Idempotency keys are not stored."""
    submit = Submitter.submit

    async def keyless(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        return await submit(self, [msgspec.structs.replace(job, idempotency_key=None) for job in jobs])

    _put(Submitter, "submit", keyless)


@mistake
def answer_waits_for_redis() -> None:
    """2xx only when the entry is in the stream."""
    submit = Submitter.submit

    async def dependent(self: Any, jobs: Sequence[NewJob]) -> dict[str, str]:
        known = await submit(self, jobs)
        await self._publisher._broker.ping()
        return known

    _put(Submitter, "submit", dependent)


@mistake
def a_new_id_for_each_delivery() -> None:
    """The id of a webhook is that of the try."""

    def forgetful(secrets_of: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        return signed_headers(secrets_of, f"{message_id}-{secrets.token_hex(4)}", timestamp, body)

    _put(consumer.handlers.webhook_deliver, "signed_headers", forgetful)


@mistake
def leases_end_late() -> None:
    """A dead worker is noticed some seconds after its lease."""
    _query("declare_dead", "secs => seconds)", f"secs => seconds + {LATE_SECONDS})")


@mistake
def a_claim_of_what_runs() -> None:
    """A claim does not ask for the state."""
    _query("claim", "status IN ('PENDING', 'SCHEDULED', 'RETRYING') AND run_at", "finished_at IS NULL AND run_at")


@mistake
def slow_reads() -> None:
    """A worker looks for jobs every few seconds."""
    read = Reader.read

    async def lazy(self: Any, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(LATE_SECONDS)
        return await read(self, *args, **options)

    _put(Reader, "read", lazy)


@mistake
def ticks_are_left_out() -> None:
    """A scheduler passes over one tick in five."""
    decided = Scheduler._decided

    def careless(self: Any, *args: Any) -> Any:
        return [([] if random.random() < SELDOM else runs, advance) for runs, advance in decided(self, *args)]

    _put(Scheduler, "_decided", careless)


@mistake
def webhooks_are_forgotten() -> None:
    """One delivery in five is said to have been taken, and was never sent."""
    answer = consumer.handlers.webhook_deliver._answer

    async def silent(outgoing: Any, url: str, headers: Any, body: bytes) -> Any:
        if random.random() < SELDOM:
            return Fetched(204, url, {}, b"", 0.0)
        return await answer(outgoing, url, headers, body)

    _put(consumer.handlers.webhook_deliver, "_answer", silent)


@mistake
def letters_are_added_twice() -> None:
    """A letter goes into the DLQ stream without a look whether it is there."""
    bury = Broker.bury

    async def insistent(self: Any, letters: Sequence[Any]) -> Any:
        await bury(self, [(letter, None) for letter, _ in letters])
        return await bury(self, letters)

    _put(Broker, "bury", insistent)


@mistake
def who_wakes_up_goes_on() -> None:
    """A worker that was frozen begins what it had claimed before."""
    _put(Heartbeat, "holds", lambda self, lease: bool(self and lease))


@mistake
def no_look_at_the_clock() -> None:
    """What went by Redis's clock is not put right when that was set."""

    async def never(self: Any) -> bool:
        del self
        return False

    _put(ClockWatch, "was_set", never)
