"""Real producers and consumers, as processes that a test may kill, and the promise that must hold whatever it did to them."""

import asyncio
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from redis.exceptions import RedisError

from consumer import registry
from shared.broker import REAPER, Broker
from shared.catalog_store import publish
from shared.database import Database, Row
from shared.dispatch_store import DispatchStore
from shared.embedded.process import Process
from shared.errors import UnavailableError
from shared.keys import Keys
from shared.settings import Settings, variable
from tests.support import recording_handlers
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[2]
QUICK: dict[str, Any] = {"lease_seconds": 3, "heartbeat_seconds": 1, "grace_seconds": 5}
DEFAULT_LEASE: dict[str, Any] = {"lease_seconds": 10, "heartbeat_seconds": 2}
SETTLED_WITHIN = 40.0  # seconds; bounds a test that would wait for ever, measures nothing
SHOWN_LINES = 60


class Event(NamedTuple):
    """A line that a recording handler wrote."""

    what: str
    job_id: str
    attempt: int
    pid: int
    time: float


class Running:
    """One process of the service."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], output: Path) -> None:
        self.output = output
        with output.open("wb") as file:
            self._process = Process([sys.executable, "-m", *arguments], env=environment, cwd=ROOT, output=file.fileno())
            self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs (or is stopped)."""
        return self._process.alive

    def kill(self) -> None:
        """End it as a crash would, and wait for that."""
        self._process.kill()

    def stop(self) -> None:
        """Freeze it."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """Wake it."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    async def ended(self, within: float = 15.0) -> int | None:
        """Wait for its end; return how it ended."""
        await eventually(lambda: not self.alive, within, f"the end of process {self.pid}")
        return self._process.returncode

    async def frozen(self) -> None:
        """Wait until a probe has frozen it."""
        await eventually(lambda: self._state() == "T", 15, f"process {self.pid} frozen")

    async def says(self, text: str, within: float = 15.0) -> None:
        """Wait until it has logged that."""
        await eventually(lambda: text in self.text(), within, f"{text!r} in the output of process {self.pid}")

    def text(self) -> str:
        """Everything it has printed."""
        return self.output.read_text(errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def _state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]


class Stack:
    """Any number of producers and consumers on one database and one key prefix."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.accepted: set[str] = set()
        self.database = Database(settings.database_url, "check", timeout=10)
        self.broker = Broker(settings.redis_url, Keys(settings.stream), settings.group)
        self.processes: list[Running] = []
        self._folder = folder
        self._recording = folder / "recording"
        self._handlers = (recording_handlers.__name__, *settings.handlers)
        self._http = aiohttp.ClientSession(
            f"http://{settings.host}:{settings.port}",
            timeout=aiohttp.ClientTimeout(total=10),
            connector=aiohttp.TCPConnector(force_close=True),  # a killed producer must not be met again
        )

    # Processes

    async def up(self, consumers: int = 1, **overrides: Any) -> list[Running]:
        """Start a producer and so many consumers at a time; return the consumers."""
        _, *started = await asyncio.gather(self.producer(**overrides), *(self.consumer(**overrides) for _ in range(consumers)))
        return started

    async def producer(self, *, probes: str = "", ready: bool = True, **overrides: Any) -> Running:
        """Start a producer and wait until it takes jobs."""
        process = self._start(["producer"], probes, overrides)
        if ready:
            await process.says("producer_started")
            await eventually(self._is_ready, 15, "a ready producer")
        return process

    async def consumer(self, *arguments: str, probes: str = "", ready: bool = True, **overrides: Any) -> Running:
        """Start a consumer and wait until it has a lease."""
        process = self._start(["consumer", *arguments], probes, overrides)
        if ready:
            query = "SELECT count(*) FROM leases WHERE pid = $1 AND dead_at IS NULL"
            await eventually(lambda: self.database.fetch_value(query, process.pid), 15, "a lease of the consumer")
        return process

    def _start(self, arguments: list[str], probes: str, overrides: dict[str, Any]) -> Running:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        modules = (*self._handlers, *overrides.get("handlers", ()))
        for item in fields(Settings):
            value = overrides.pop(item.name, QUICK.get(item.name, getattr(self.settings, item.name)))
            if value != item.default:
                environment[variable(item.name)] = _as_text(value)
        assert not overrides, f"unknown settings {overrides}"
        environment |= {
            "MILLSTREAM_PROBES": probes,
            "MILLSTREAM_HANDLERS": ",".join(modules),
            recording_handlers.VARIABLE: str(self._recording),
        }
        output = self._folder / f"{len(self.processes)}-{arguments[0]}.log"
        process = Running(arguments, environment, output)
        self.processes.append(process)
        return process

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.get("/readyz") as response:
                return response.status == 200
        return False

    async def prepare(self) -> None:
        """Leave things as if a consumer had run here before: job types in the catalog, consumer groups, the epoch.

        So producers take jobs before the first consumer starts, and none begins with a rebuild that would repair what a test broke.
        """
        known = registry.load(Settings(test_types=True, handlers=self._handlers))
        await publish(self.database, known.describe())
        await self.broker.ensure_groups()
        await DispatchStore(self.database).set_epoch(self.broker.keys.base, "of the test")
        await self.broker.set_epoch("of the test")

    # Jobs

    async def submit(self, type: str = "recorded", /, *, payload: dict[str, Any] | None = None, **fields: Any) -> str:  # noqa: A002
        """Submit one job; return its id."""
        _, body = await self.post("/jobs", {"type": type, "payload": payload or {}} | fields, expect=202)
        job_id: str = body["id"]
        return job_id

    async def bulk(self, count: int, type: str = "recorded", /, *, payload: dict[str, Any] | None = None, **fields: Any) -> list[str]:  # noqa: A002
        """Submit that many jobs alike in one request; return their ids."""
        _, body = await self.post("/jobs/bulk", [{"type": type, "payload": payload or {}} | fields] * count, expect=202)
        ids: list[str] = body["ids"]
        return ids

    async def post(self, path: str, body: Any, expect: int | None = None) -> tuple[int, Any]:
        """Return the status and the body of the answer. What a 2xx says is accepted is remembered."""
        async with self._http.post(path, json=body) as response:
            answer = await response.json(content_type=None)
            if response.status in {200, 202}:
                self.accepted.update(answer.get("ids") or [answer["id"]])
            assert expect is None or response.status == expect, (response.status, answer)
            return response.status, answer

    async def get(self, path: str) -> Any:
        """Return the JSON that a GET answers."""
        async with self._http.get(path) as response:
            return await response.json()

    async def text(self, path: str) -> str:
        """Return what a GET answers."""
        async with self._http.get(path) as response:
            return await response.text()

    @asynccontextmanager
    async def load(self, seconds: float = 0.02, batch: int = 5, every: float = 0.05, **fields: Any) -> AsyncIterator[Counter[int]]:
        """Submit small batches all the time while the block runs. Yields how many answers of each status came; 0: no answer."""
        answers: Counter[int] = Counter()
        jobs = [{"type": "recorded", "payload": {"seconds": seconds}} | fields] * batch

        async def submit_for_ever() -> None:
            while True:
                try:
                    answers[(await self.post("/jobs/bulk", jobs))[0]] += 1
                except (aiohttp.ClientError, TimeoutError):
                    answers[0] += 1
                await asyncio.sleep(every)  # the pace of the load, not a wait for anything

        task = asyncio.create_task(submit_for_ever())
        try:
            await self.more_accepted(20)
            yield answers
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def more_accepted(self, count: int, within: float = 30.0) -> None:
        """Wait until so many more jobs than now are accepted."""
        goal = len(self.accepted) + count
        await eventually(lambda: len(self.accepted) >= goal, within, f"{count} more accepted jobs")

    # What happened

    def events(self, what: str, job_ids: Collection[str] | None = None) -> list[Event]:
        """What the recording handlers wrote, in order."""
        lines = self._recording.read_text().splitlines() if self._recording.exists() else []
        found = (Event(name, job_id, int(attempt), int(pid), float(time)) for name, job_id, attempt, pid, time in map(str.split, lines))
        return [event for event in found if event.what == what and (job_ids is None or event.job_id in job_ids)]

    async def started(self, job_id: str, attempt: int | None = None, within: float = 15.0) -> Event:
        """Wait until a handler has started the job (for the `attempt`-th time) and return that event."""

        def found() -> Event | None:
            events = self.events("start", {job_id})
            return next((event for event in events if attempt in {None, event.attempt}), None)

        event = await eventually(found, within, f"a start of {job_id}")
        assert event is not None
        return event

    async def row(self, job_id: str) -> Row:
        """Return the job as PostgreSQL has it."""
        [row] = await self.database.fetch("SELECT *, status::text AS state FROM jobs WHERE id = $1", job_id)
        return row

    async def rows(self) -> list[Row]:
        """Return all jobs."""
        return await self.database.fetch("SELECT *, id::text AS key, status::text AS state FROM jobs ORDER BY id")

    async def count(self, where: str) -> int:
        """Return the number of jobs for which that holds."""
        return int(await self.database.fetch_value(f"SELECT count(*) FROM jobs WHERE {where}"))  # noqa: S608 - a test's own words

    async def attempts(self, job_id: str) -> list[Row]:
        """Return the job's history, oldest first."""
        return await self.database.fetch("SELECT * FROM attempts WHERE job_id = $1 ORDER BY attempt", job_id)

    def started_twice(self) -> set[str]:
        """Ids of the jobs whose handlers started more than once."""
        counts = Counter(event.job_id for event in self.events("start"))
        return {job_id for job_id, count in counts.items() if count > 1}

    # The promise

    async def check_promise(self, within: float = SETTLED_WITHIN, *, lost_claims: bool = False) -> None:
        """Every accepted job is in one terminal state, nothing is left in Redis, and no stale owner ever settled a job.

        `lost_claims`: PostgreSQL crashed, and a claim is allowed to be forgotten with it; its attempt number is then given again.
        """
        await eventually(self._all_over, within, "the end of all jobs")
        await eventually(self._nothing_left, within, "empty streams")
        rows = await self.rows()
        assert self.accepted <= {row["key"] for row in rows}, "an accepted job is gone"
        await self._check_counts(rows)
        await self._check_history(rows)
        self._check_recording(rows, lost_claims=lost_claims)
        self._check_output()

    async def _all_over(self) -> bool:
        with _away_is_not_yet():
            left = await self.database.fetch("SELECT status::text, count(*) FROM jobs WHERE finished_at IS NULL GROUP BY 1")
            assert not left, _pairs(left)
        return True

    async def _nothing_left(self) -> bool:
        with _away_is_not_yet():
            depths = await self.broker.depths()
            letters = {letter.job_id: letter.attempts async for letter in self.broker.letters.all()}
            failed = await self.database.fetch("SELECT id::text, attempts FROM jobs WHERE status = 'FAILED'")
            live = {row[0] for row in await self.database.fetch("SELECT worker FROM leases WHERE dead_at IS NULL")}
            ghosts = await self.broker.consumers() - live - {REAPER}
            unplaced = await self.database.fetch_value("SELECT count(*) FROM dead_letters WHERE entry_id IS NULL")
        left = {name: depth for name, depth in depths.items() if depth and name != "dlq"}
        assert not left, left
        assert letters == _pairs(failed), "the DLQ stream and the FAILED rows differ"
        assert depths["dlq"] == len(letters), "the DLQ stream names a job twice"
        assert not unplaced, "a dead letter without its place"
        assert not ghosts, ghosts
        return True

    async def _check_counts(self, rows: list[Row]) -> None:
        sums = await self.database.fetch("SELECT status::text, sum(n)::bigint FROM job_counts GROUP BY 1 HAVING sum(n) <> 0")
        assert _pairs(sums) == dict(Counter(row["state"] for row in rows))

    async def _check_history(self, rows: list[Row]) -> None:
        """Each claim ended once: in a row of the history, or by the win. So no settle of a stale owner was accepted."""
        history: dict[str, list[Row]] = defaultdict(list)
        for attempt in await self.database.fetch("SELECT *, job_id::text AS key FROM attempts ORDER BY job_id, attempt"):
            history[attempt["key"]].append(attempt)
        for row in rows:
            numbers = [attempt["attempt"] for attempt in history[row["key"]]] + [row["attempts"]] * (row["state"] == "COMPLETED")
            assert numbers == list(range(1, row["attempts"] + 1)), (row["key"], numbers, row["attempts"])
            starts = [attempt["started_at"] for attempt in history[row["key"]]] + [row["started_at"]] * (row["state"] == "COMPLETED")
            assert starts == sorted(starts), (row["key"], starts)

    def _check_recording(self, rows: list[Row], *, lost_claims: bool) -> None:
        """The one who is said to have won did come to the end of the handler; attempt numbers of the starts grow."""
        starts: dict[str, list[int]] = defaultdict(list)
        for event in self.events("start"):
            starts[event.job_id].append(event.attempt)
        ends = {(event.job_id, event.attempt, event.pid) for event in self.events("end")}
        for row in rows:
            if row["type"].startswith("recorded") and row["state"] == "COMPLETED":
                winner = int(row["worker"].split(":")[-2])
                assert (row["key"], row["attempts"], winner) in ends, f"{row['key']} was completed by one who had not run it"
            numbers = starts[row["key"]]
            assert numbers == sorted(numbers), (row["key"], numbers)
            assert lost_claims or len(set(numbers)) == len(numbers), (row["key"], numbers)

    def _check_output(self) -> None:
        for process in self.processes:
            for sign in ("Traceback", "service_failed", "request_failed"):
                assert sign not in process.text(), f"{sign} in {process.output.name}"

    # The end

    async def close(self) -> None:
        """End all processes, remove the keys, show what the processes said (pytest prints it for tests that failed)."""
        for process in self.processes:
            process.kill()
            lines = process.text().splitlines()[-SHOWN_LINES:]
            print(f"\n--- {process.output.name} (pid {process.pid})", *lines, sep="\n")  # noqa: T201 - pytest shows it when a test fails
        with suppress(RedisError):
            await self.broker.client.delete(*self.broker.keys.all())
        await self._http.close()
        await self.database.close()
        await self.broker.close()


@contextmanager
def _away_is_not_yet() -> Iterator[None]:
    try:
        yield
    except UnavailableError as error:
        raise AssertionError(str(error)) from error


def _pairs(rows: list[Row]) -> dict[str, int]:
    return {row[0]: row[1] for row in rows}


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
