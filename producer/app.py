"""The producer process: its parts, its routes, its start and its end."""

import asyncio
import errno
import signal
from collections.abc import Awaitable, Callable

from aiohttp import web

from producer.artifacts_api import ArtifactsApi
from producer.backlog import Backlog
from producer.body import MAX_BULK_BYTES
from producer.catalog import REFRESH_SECONDS, Catalog
from producer.connections import BoundedConnections
from producer.dialect import Dialect
from producer.dlq_api import DlqApi
from producer.effects_api import EffectsApi
from producer.guard import Guard, no_route
from producer.jobs_api import JobsApi
from producer.live import Live
from producer.openapi import OpenApi
from producer.publisher import Publisher
from producer.queue_api import QueueApi
from producer.queues_api import QueuesApi
from producer.schedules_api import SchedulesApi
from producer.submit import Submitter
from producer.types_api import TypesApi
from producer.why_api import WhyApi
from shared.artifacts import Artifacts
from shared.broker import Broker
from shared.database import DURABLE, Database, Databases
from shared.dlq_store import DlqStore
from shared.effect_store import EffectStore
from shared.errors import UnavailableError
from shared.job_store import JobStore
from shared.job_views import JobViews
from shared.keys import Keys
from shared.log import get_log
from shared.queue_store import QueueStore
from shared.queues import EVERY_SECONDS as QUEUES_EVERY_SECONDS
from shared.queues import Queues
from shared.schedule_store import ScheduleStore
from shared.settings import Settings

log = get_log()

READ_CONNECTIONS = 4
READ_SECONDS = 10.0
KEEPALIVE_SECONDS = 60.0  # also how long a connection may take to send its first headers
MOST_CONNECTIONS = 10_000
SHUTDOWN_SECONDS = 10.0


class Producer:
    """One producer process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._writer = Database(settings.database_url, "submit", timeout=settings.submit_timeout_seconds, settings=DURABLE)
        self._readers = Databases(settings.database_url, "read", READ_CONNECTIONS, timeout=READ_SECONDS, settings=DURABLE)
        self._broker = Broker(settings.redis_url, Keys(settings.stream), settings.group)
        self._queues = Queues(QueueStore(self._readers.any()), [self._broker])
        self._catalog = Catalog(self._readers, self._queues, signs_webhooks=bool(settings.webhook_secret))
        self._publisher = Publisher(self._broker)
        self._backlog = Backlog(self._broker, settings.max_backlog)
        self._submitter = Submitter(settings, JobStore(self._writer), self._publisher)
        self._live = Live(settings.redis_url, self._broker, self._readers)

    def application(self) -> web.Application:
        """Return the aiohttp application, every route also under /api/v1."""
        views = JobViews(self._readers)
        queue_api = QueueApi(views, self._broker, self._stop.is_set)
        jobs_api = JobsApi(
            self._catalog,
            self._submitter,
            self._publisher,
            JobStore(self._readers.any()),
            views,
            self._broker,
            self._backlog,
            self._live,
        )
        queues_api = QueuesApi(QueueStore(self._readers.any()), self._broker)
        schedules_api = SchedulesApi(ScheduleStore(self._readers.any()), self._catalog, self._publisher, self._backlog)
        dlq_api = DlqApi(views, DlqStore(self._readers.any()), self._publisher, self._broker)
        artifacts_api = ArtifactsApi(views, Artifacts(self._settings))
        effects_api = EffectsApi(EffectStore(self._readers), views)
        others = (WhyApi(self._readers), TypesApi(self._readers), Dialect(jobs_api, views), OpenApi(), self._live.streams)
        areas = (queue_api, queues_api, dlq_api, jobs_api, artifacts_api, effects_api, schedules_api, *others)
        guard = Guard(self._settings.api_keys)
        app = web.Application(client_max_size=MAX_BULK_BYTES)
        for prefix in ("", "/api/v1"):
            for method, path, handler in (route for area in areas for route in area.routes()):
                for verb in (method, *(("HEAD",) if method == "GET" else ())):
                    app.router.add_route(verb, prefix + path, guard.around(handler))
        app.router.add_route("*", "/{path:.*}", guard.around(no_route))
        return app

    async def run(self) -> None:
        """Serve until `stop`; then finish what is under way."""
        runner = web.AppRunner(self.application(), access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        server = await self._listen(runner)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._submitter.run())
            tasks.create_task(self._publisher.run())
            background = (
                tasks.create_task(_keep("catalog", self._catalog.refresh, lambda: REFRESH_SECONDS if self._catalog.loaded else 0.5)),
                tasks.create_task(_keep("queues", self._queues.refresh, lambda: QUEUES_EVERY_SECONDS)),
                tasks.create_task(self._backlog.run()),
                tasks.create_task(self._live.run()),
            )
            log.info("producer_started", host=self._settings.host, port=self._settings.port)
            await self._stop.wait()
            self._live.let_go()
            server.close()
            await runner.cleanup()
            self._submitter.close()
            self._publisher.close()
            for task in background:
                task.cancel()
        await self._close()

    def stop(self) -> None:
        """Begin to end: no new connections, requests under way are answered."""
        log.info("producer_draining")
        self._stop.set()

    async def _listen(self, runner: web.AppRunner) -> asyncio.Server:
        """Several producers may listen on one port; the kernel spreads connections over them."""
        host, port = self._settings.host, self._settings.port
        if runner.server is None:
            raise RuntimeError("the runner is set up first")
        try:
            return await asyncio.get_running_loop().create_server(
                BoundedConnections(runner.server, MOST_CONNECTIONS), host, port, reuse_port=True, backlog=1024
            )
        except OSError as error:
            hint = (
                "is another program using it? choose one with MILLSTREAM_PORT"
                if error.errno == errno.EADDRINUSE
                else "check MILLSTREAM_HOST"
            )
            raise UnavailableError(f"cannot listen on {host}:{port}: {error.strerror or error}", hint) from error

    async def _close(self) -> None:
        await self._writer.close()
        await self._readers.close()
        await self._live.close()
        await self._broker.close()
        log.info("producer_stopped")


async def _keep(what: str, refresh: Callable[[], Awaitable[None]], pause: Callable[[], float]) -> None:
    """Keep something up to date, for ever."""
    while True:
        try:
            await refresh()
        except UnavailableError as error:
            log.warning("not_refreshed", what=what, error=str(error))
        except Exception:
            log.exception("not_refreshed", what=what)
        await asyncio.sleep(pause())


async def serve(settings: Settings) -> None:
    """Run a producer until SIGTERM or SIGINT."""
    producer = Producer(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, producer.stop)
    await producer.run()
