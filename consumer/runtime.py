"""Puts the parts of a consumer process together, runs them, and ends them in order."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

from consumer import delayer, effects, janitor, outbox, progress, reaper, reconciler, scheduler
from consumer.context import Shared
from consumer.every import Step, run_every
from consumer.heartbeat import Heartbeat
from consumer.portions import Portions
from consumer.reader import BLOCK_SECONDS, Reader
from consumer.registry import Registry
from consumer.resources import Resources
from consumer.settler import AT_A_TIME, Settler
from consumer.triage import Triage
from consumer.worker import HANDLER_THREADS, Worker
from shared.broker import Broker
from shared.callback_store import CallbackStore
from shared.catalog_store import publish
from shared.database import BY_KEY, DURABLE, Database, Databases
from shared.dispatch_store import DispatchStore
from shared.effect_store import EffectStore, ProgressStore
from shared.errors import UnavailableError
from shared.job_store import JobStore
from shared.keys import Keys
from shared.lease_store import LeaseStore
from shared.log import get_log
from shared.models import Lease
from shared.queue_store import QueueStore
from shared.queues import EVERY_SECONDS as QUEUES_EVERY_SECONDS
from shared.queues import Queues
from shared.redis_client import TIMEOUT_SECONDS
from shared.settings import Settings
from shared.tick_store import IMPATIENT, TickStore

log = get_log()

ROLES = ("worker", "reaper", "delayer", "reconciler", "outbox", "scheduler", "janitor")
TIME_LIMITS_EVERY_SECONDS = 0.1
CANCELS_EVERY_SECONDS = 0.5
STRAYS_EVERY_SECONDS = 2.5
CATALOG_EVERY_SECONDS = 1.0  # until the types are published
TYPES_ARE_KNOWN_SECONDS = 3600.0
SETTLE_SECONDS = 3.0  # after the grace time, for handlers to obey and outcomes to be settled
SERVICES_SECONDS = 1.0
EFFECT_CONNECTIONS = 4  # each waits for the disk at every write; PostgreSQL syncs for several of them at a time


class Consumer:
    """One consumer process: a worker and the services that keep the promise, or those of them named in `roles`."""

    def __init__(self, settings: Settings, registry: Registry, roles: Sequence[str] = ROLES) -> None:
        self._settings = settings
        self._registry = registry
        self._roles = roles
        self._stop = asyncio.Event()
        self._stop_services = asyncio.Event()
        self._databases = {
            # A claim that is lost with the server costs a second delivery, not a job. One that nobody waits for any more is cancelled.
            "claim": Database(settings.database_url, "claim", settings=BY_KEY | {"synchronous_commit": "off", "statement_timeout": "45s"}),
            "upkeep": Database(settings.database_url, "upkeep", settings=DURABLE),
            "schedule": Database(
                settings.database_url, "schedule", settings=IMPATIENT | DURABLE
            ),  # its own: a tick does not wait for a repair
            "outbox": Database(settings.database_url, "outbox", settings=DURABLE),  # its jobs wait for nothing else
            "progress": Database(settings.database_url, "progress", settings=BY_KEY | {"synchronous_commit": "off"}),
        }
        # A settle must be on disk before the ack.
        self._settle = Databases(settings.database_url, "settle", AT_A_TIME, settings=BY_KEY | DURABLE)
        # What a handler was told to be reserved must be on disk before its effect begins. Connected when the first handler asks.
        self._effects = Databases(settings.database_url, "effects", EFFECT_CONNECTIONS, settings=BY_KEY | DURABLE)
        self._board = progress.ProgressBoard(ProgressStore(self._databases["progress"]))
        keys = Keys(settings.stream)
        self._broker = Broker(settings.redis_url, keys, settings.group)
        self._reader = Broker(settings.redis_url, keys, settings.group, timeout=TIMEOUT_SECONDS + BLOCK_SECONDS)
        self._heartbeat = Heartbeat(settings, roles, registry.types() if "worker" in roles else (), self._on_lease)
        self._queues = Queues(QueueStore(self._databases["upkeep"]), [self._broker, self._reader])
        self._resources = Resources(settings)
        self._types_are_known = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.worker = self._make_worker() if "worker" in roles else None

    def _make_worker(self) -> Worker:
        claim, settle = self._databases["claim"], self._settle
        triage = Triage(JobStore(claim), DispatchStore(claim), self._broker, self._settings.max_crashes)
        after = Triage(JobStore(settle), DispatchStore(settle.any()), self._broker, self._settings.max_crashes)
        settler = Settler(JobStore(settle), self._broker, after, self._board)
        portions = Portions(dict(self._settings.queues), dict(self._settings.queue_concurrency))
        reader = Reader(self._broker, self._reader, self._queues, portions)
        shared = Shared(self._resources.mapping, EffectStore(self._effects), self._board)
        return Worker(self._settings, self._registry, JobStore(claim), reader, triage, settler, shared, self._heartbeat.holds)

    def _services(self) -> dict[str, tuple[float, Step]]:
        settings, broker, upkeep = self._settings, self._broker, self._databases["upkeep"]
        jobs, dispatch, leases = JobStore(upkeep), DispatchStore(upkeep), LeaseStore(upkeep)
        triage = Triage(jobs, dispatch, broker, settings.max_crashes)
        steps: dict[str, tuple[float, Step]] = {
            "reaper": (reaper.EVERY_SECONDS, reaper.Reaper(settings, leases, broker, triage, self._heartbeat).step),
            "delayer": (delayer.EVERY_SECONDS, delayer.Delayer(broker).step),
            "reconciler": (reconciler.EVERY_SECONDS, reconciler.Reconciler(dispatch, leases, broker, triage).step),
            "scheduler": (scheduler.EVERY_SECONDS, scheduler.Scheduler(TickStore(self._databases["schedule"]), broker).step),
            "outbox": (outbox.EVERY_SECONDS, outbox.Outbox(CallbackStore(self._databases["outbox"]), broker).step),
            "janitor": (janitor.EVERY_SECONDS, janitor.Janitor(settings, dispatch, leases, broker).step),
        }
        chosen = {name: step for name, step in steps.items() if name in self._roles}
        if "janitor" in self._roles:
            chosen["counts"] = (janitor.FOLD_EVERY_SECONDS, dispatch.fold_counts)
        chosen["queues"] = (QUEUES_EVERY_SECONDS, self._queues.refresh)
        chosen["catalog"] = (CATALOG_EVERY_SECONDS, self._publish_types)
        if self.worker is not None:
            chosen["time_limits"] = (TIME_LIMITS_EVERY_SECONDS, self.worker.in_flight.enforce_time_limits)
            chosen["cancels"] = (CANCELS_EVERY_SECONDS, self.worker.in_flight.honour_cancels)
            chosen["progress"] = (progress.EVERY_SECONDS, self._board.step)
            chosen["strays"] = (STRAYS_EVERY_SECONDS, self.worker.look_for_strays)
        return chosen

    async def run(self) -> None:
        """Work until `stop`, then drain: finish or hand back what runs, end the lease."""
        self._loop = asyncio.get_running_loop()
        await self._introduce()
        self._heartbeat.start()
        log.info(
            "consumer_started",
            roles=list(self._roles),
            types=self._registry.types(),
            concurrency=self._settings.concurrency,
        )
        async with asyncio.TaskGroup() as tasks:
            services = [
                tasks.create_task(run_every(seconds, step, self._stop_services, name=name), name=name)
                for name, (seconds, step) in self._services().items()
            ]
            working = [tasks.create_task(self.worker.run(), name="worker")] if self.worker is not None else []
            await self._stop.wait()
            await _end_within(self._settings.grace_seconds + SETTLE_SECONDS, working)
            self._stop_services.set()
            await _end_within(SERVICES_SECONDS, services)
        await self._close()

    def stop(self) -> None:
        """Begin to drain."""
        log.info("consumer_draining")
        self._heartbeat.draining = True
        self._stop.set()
        if self.worker is not None:
            self.worker.stop()

    async def _introduce(self) -> None:
        """Tell both stores what they need to know of us; one that is away now hears it from the services."""
        for deed in (self._publish_types(), self._broker.ensure_groups(), self._queues.refresh()):
            try:
                await deed
            except UnavailableError as error:
                log.warning("store_unavailable", error=str(error))

    async def _publish_types(self) -> float:
        """Publish them once; again and again would let an old consumer take back what a new one has changed."""
        if not self._types_are_known:
            await publish(self._databases["upkeep"], self._registry.describe())
            self._types_are_known = True
        return TYPES_ARE_KNOWN_SECONDS

    def _on_lease(self, lease: Lease) -> None:
        if self.worker is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self.worker.adopt, lease)

    async def _close(self) -> None:
        name = self.worker.worker_name if self.worker else None
        await asyncio.to_thread(self._heartbeat.stop)
        if name is not None:
            try:
                await self._broker.drop_consumer(name)
            except UnavailableError as error:
                log.warning("consumer_not_dropped", consumer=name, error=str(error))
        await self._resources.close()
        await effects.settled(within=SERVICES_SECONDS)
        await self._settle.close()
        await self._effects.close()
        await asyncio.gather(*(database.close() for database in self._databases.values()))
        await self._broker.close()
        await self._reader.close()
        log.info("consumer_stopped")


async def serve(settings: Settings, registry: Registry, roles: Sequence[str]) -> None:
    """Run a consumer until SIGTERM or SIGINT. A second signal ends the process at once."""
    consumer = Consumer(settings, registry, roles)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal(consumer, number))
    await consumer.run()
    if _handlers_run_on():
        os._exit(0)  # nothing can stop them, and they would keep the process alive


async def _end_within(seconds: float, tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Wait for tasks that were told to end; cancel what waits for a store that is away. What it leaves is repaired as after a crash."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        log.error("ended_by_force", part=task.get_name())
        task.cancel()


def _handlers_run_on() -> bool:
    """Whether handlers ignore that their attempts are over (time is up, lease lost, handed back): as tasks, or in threads."""
    threads = any(thread.name.startswith(HANDLER_THREADS) for thread in threading.enumerate())
    return threads or bool(asyncio.all_tasks() - {asyncio.current_task()})


def _on_signal(consumer: Consumer, number: int) -> Callable[[], Any]:
    stopping = False

    def react() -> None:
        nonlocal stopping
        if stopping:
            os._exit(128 + number)
        stopping = True
        consumer.stop()

    return react
