"""millstream on servers of its own: PostgreSQL and Valkey in a temporary folder, emptied for each measurement."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self

import orjson

from loadtest.cpu import CpuMeter
from loadtest.errors import MeasureError
from loadtest.processes import Children
from loadtest.sizes import Sizes
from loadtest.stores import Database, Valkey
from shared.embedded.folder import free_port
from shared.embedded.postgres import Postgres
from shared.embedded.process import Process
from shared.embedded.valkey import Valkey as ValkeyServer

DATABASE = "bench"
READY_SECONDS = 30.0
POLL_SECONDS = 0.02
NOT_THEIRS = ("MILLSTREAM_", "DATABASE_URL", "REDIS_URL", "PYTHONPATH")  # how the variables begin that are not handed on
NOOP = b'{"type":"test.noop","payload":{"to":"user@example.com","n":1}}'
WARM = b'{"type":"test.sleep","payload":{"seconds":0}}'
SETTINGS = {
    "MILLSTREAM_TEST_TYPES": "1",
    "MILLSTREAM_HANDLERS": "loadtest.stamp",
    "MILLSTREAM_CONCURRENCY": "1000",  # for short jobs; those of the peers are the fastest that were found
    "MILLSTREAM_GRACE_SECONDS": "5",
    "MILLSTREAM_LOG_LEVEL": "warning",  # the peers log nothing for a job either
}


class Stack:
    """The servers, and producers and consumers on them. A context manager, to be used from the main thread."""

    def __init__(self, children: Children, folder: Path, sizes: Sizes, settings: Mapping[str, str]) -> None:
        self.children = children
        self.sizes = sizes
        self.settings = SETTINGS | {"MILLSTREAM_OUTPUT_DIR": str(folder / "output")} | dict(settings)
        self.folder = folder
        self.port = free_port()
        self.producers: list[Process] = []
        self.consumers: list[Process] = []
        self._postgres = Postgres(folder / "postgres")
        self._valkey = ValkeyServer(folder / "valkey")

    def __enter__(self) -> Self:
        try:
            self._postgres.start()
            self._valkey.start()
        except BaseException:
            self.__exit__()
            raise
        self.server = Database(self._postgres.url)
        self.valkey = Valkey(self._valkey.url)
        self.database = self.server.recreate(DATABASE)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._valkey.stop()
        self._postgres.stop()

    @property
    def url(self) -> str:
        """Base URL of the producers."""
        return f"http://127.0.0.1:{self.port}"

    def peer_env(self) -> dict[str, str]:
        """Environment of a peer: the same servers, a Redis database of its own."""
        redis_url = self._valkey.url.rpartition("/")[0] + "/1"
        return {**_clean_environment(), "DATABASE_URL": self.database.url, "REDIS_URL": redis_url}

    def empty(self) -> None:
        """Stop millstream, empty both stores and let them settle."""
        self.stop()
        self.database = self.server.recreate(DATABASE)
        self.valkey.flush()
        self.settle()

    def fresh(self, producers: int = 1) -> None:
        """Begin anew: empty stores, `producers` on one port, everything proven by one job that ran, then no consumer.

        The proof also publishes the test types and lets the consumer set up the streams: no measurement pays for it.
        """
        self.empty()
        self.children.run("migrate", self._python("cli", "migrate"), self._env(), timeout_seconds=60)
        self.producers = [self._start("producer") for _ in range(producers)]
        for producer in self.producers:
            self.children.wait_listening(producer, self.port)
        self.wait("the producer is ready", lambda: self.ask("GET", "/readyz")[0] == 200)
        self.start_consumer()
        self._prove()
        self.stop_consumers()
        self.settle()

    def cpu_meter(self, **parties: Sequence[Process]) -> CpuMeter:
        """Start counting the CPU time of `parties` and of the two servers."""
        pids = {name: [item.pid for item in items if item.pid] for name, items in parties.items()}
        servers = {"PostgreSQL": self._postgres.pid, "Valkey": self._valkey.pid}
        return CpuMeter(pids | {name: [pid] for name, pid in servers.items() if pid})

    def stored_bytes(self) -> dict[str, int]:
        """Return what the jobs and everything else take in each store."""
        return {"Redis": self.valkey.used_bytes(), "PostgreSQL": self.database.used_bytes()}

    def settle(self) -> None:
        """Let PostgreSQL write what is pending now, not in the middle of a measurement."""
        self.server.fetch("CHECKPOINT")

    def analyze(self) -> None:
        """Give the planner statistics of tables filled a moment ago: autovacuum may do so in the middle of a measurement, or not."""
        self.database.fetch("ANALYZE")

    def start_consumer(self) -> Process:
        """Start one more consumer; does not wait."""
        self.consumers.append(self._start("consumer"))
        return self.consumers[-1]

    def stop_consumers(self) -> None:
        """Stop all consumers."""
        self.children.stop(*self.consumers)
        self.consumers = []

    def stop(self) -> None:
        """Stop producers and consumers."""
        self.children.stop(*self.producers, *self.consumers)
        self.producers, self.consumers = [], []

    def post_load(self, path: str, body: bytes, **options: float) -> dict[str, Any]:
        """Drive POST `path` from a process of its own. Raises MeasureError at any answer that is not 2xx."""
        return drive(self.children, self.url + path, body, **options)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Make one HTTP call."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wait(self, what: str, is_so: Callable[[], bool], seconds: float = READY_SECONDS, also: Sequence[Process] = ()) -> None:
        """Poll until `is_so`. Raises MeasureError after `seconds`, or when a producer, a consumer or one of `also` has ended."""
        deadline = time.monotonic() + seconds
        while not _quietly(is_so):
            for child in (*self.producers, *self.consumers, *also):
                self.children.check(child)
            if time.monotonic() > deadline:
                raise MeasureError(f"waited {seconds:g} s in vain until {what}")
            time.sleep(POLL_SECONDS)

    def _prove(self) -> None:
        accepted: list[str] = []

        def submitted() -> bool:
            status, body = self.ask("POST", "/jobs", WARM)
            if status == 202:
                accepted.append(orjson.loads(body)["id"])
            return status == 202

        def completed() -> bool:
            return bool(orjson.loads(self.ask("GET", f"/jobs/{accepted[0]}")[1])["status"] == "COMPLETED")

        self.wait("the producer takes a test job", submitted)
        self.wait("the consumer has run a test job", completed)

    def _start(self, package: str) -> Process:
        return self.children.start(package, self._python(package), self._env())

    def _env(self) -> dict[str, str]:
        stores = {"DATABASE_URL": self.database.url, "REDIS_URL": self._valkey.url, "MILLSTREAM_PORT": str(self.port)}
        return _clean_environment() | self.settings | stores

    @staticmethod
    def _python(*words: str) -> list[str]:
        return [sys.executable, "-m", *words]


def drive(children: Children, url: str, body: bytes, **options: float) -> dict[str, Any]:
    """Run `loadtest.closed_loop` against `url`; `options` are its command line."""
    words = [word for name, value in options.items() for word in (f"--{name}", f"{value:g}" if isinstance(value, float) else str(value))]
    argv = [sys.executable, "-m", "loadtest.closed_loop", url, *words]
    result: dict[str, Any] = orjson.loads(children.run("closed_loop", argv, os.environ, data=body, timeout_seconds=600))
    if result["bad_count"] or not result["count"]:
        raise MeasureError(f"{result['bad_count']} bad answers next to {result['count']} good ones; the first: {result['bad_example']}")
    return result


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(NOT_THEIRS)}


def _quietly(is_so: Callable[[], bool]) -> bool:
    try:
        return is_so()
    except (OSError, HTTPException, orjson.JSONDecodeError, KeyError):
        return False
