"""The producer process: its parts, its routes, its start and its end."""

import asyncio
import errno
import signal

from aiohttp import web

from producer.backlog import Backlog
from producer.body import MAX_BULK_BYTES
from producer.catalog import REFRESH_SECONDS, Catalog
from producer.connections import BoundedConnections
from producer.guard import Guard, no_route
from producer.jobs_api import JobsApi
from producer.live import Live
from producer.publisher import Publisher
from producer.queue_api import QueueApi
from producer.submit import Submitter
from shared.broker import Broker
from shared.database import Database, Databases
from shared.errors import UnavailableError
from shared.job_store import JobStore
from shared.job_views import JobViews
from shared.keys import Keys
from shared.log import get_log
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
        self._writer = Database(settings.database_url, "submit", timeout=settings.submit_timeout_seconds)
        self._readers = Databases(settings.database_url, "read", READ_CONNECTIONS, timeout=READ_SECONDS)
        self._broker = Broker(settings.redis_url, Keys(settings.stream), settings.group)
        self._catalog = Catalog(self._readers, signs_webhooks=bool(settings.webhook_secret))
        self._publisher = Publisher(self._broker)
        self._backlog = Backlog(self._broker, settings.max_backlog)
        self._submitter = Submitter(settings, JobStore(self._writer), self._publisher)
        self._live = Live(settings.redis_url, self._broker, self._readers)

    def application(self) -> web.Application:
        """Return the aiohttp application, every route also under /api/v1."""
        views = JobViews(self._readers)
        queue_api = QueueApi(views, self._broker, self._stop.is_set)
        jobs_api = JobsApi(
            self._catalog, self._submitter, self._publisher, JobStore(self._readers.any()), views, self._broker, self._backlog, self._live
        )
        guard = Guard(self._settings.api_keys)
        app = web.Application(client_max_size=MAX_BULK_BYTES)
        for prefix in ("", "/api/v1"):
            for method, path, handler in (*queue_api.routes(), *jobs_api.routes(), *self._live.streams.routes()):
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
            background = [tasks.create_task(service) for service in (self._keep_catalog(), self._backlog.run(), self._live.run())]
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

    async def _keep_catalog(self) -> None:
        while True:
            try:
                await self._catalog.refresh()
            except UnavailableError as error:
                log.warning("catalog_not_refreshed", error=str(error))
            except Exception:
                log.exception("catalog_not_refreshed")
            await asyncio.sleep(REFRESH_SECONDS if self._catalog.loaded else 0.5)

    async def _close(self) -> None:
        await self._writer.close()
        await self._readers.close()
        await self._live.close()
        await self._broker.close()
        log.info("producer_stopped")


async def serve(settings: Settings) -> None:
    """Run a producer until SIGTERM or SIGINT."""
    producer = Producer(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, producer.stop)
    await producer.run()
