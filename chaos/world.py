"""The service under test: servers, proxies before them, processes, and whoever keeps the processes alive."""

import asyncio
import base64
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import Random

import aiohttp
import psutil

from chaos.client import Client
from chaos.errors import ChaosError, or_else
from chaos.history import pid_of
from chaos.hooks import receiving
from chaos.journal import Journal
from chaos.member import Member
from chaos.proxy import Proxy
from chaos.recorder import SOCKET_VARIABLE
from chaos.servers import Servers, until
from consumer.runtime import ROLES
from shared.broker import Broker
from shared.database import Database
from shared.embedded.folder import free_port
from shared.embedded.process import Process
from shared.errors import UnavailableError
from shared.keys import Keys
from shared.migrate import migrate
from shared.settings import Settings, load

READY_SECONDS = 60.0
LOOK_SECONDS = 0.05
RESTART_SECONDS = (0.2, 1.5)  # after a death; `millstream up` and systemd take about as long
SERVICES = tuple(role for role in ROLES if role != "worker")
INHERITED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "PYTHONPATH")
LIVE = "SELECT worker FROM leases WHERE dead_at IS NULL"
STORES = ("postgres", "redis")
GROUPS = ("producer", "consumer", "service")
LEASED = "SELECT count(*) FROM leases WHERE worker LIKE $1 AND dead_at IS NULL"
DEFAULTS = {"MILLSTREAM_TEST_TYPES": "1", "MILLSTREAM_PROCESSES": "2", "MILLSTREAM_LOG_LEVEL": "info"}
OF_OUR_JOBS = {"MILLSTREAM_GRACE_SECONDS": "5", "MILLSTREAM_CONCURRENCY": "50", "MILLSTREAM_JOB_TIMEOUT_SECONDS": "20"}  # they are short
OWN = (
    "DATABASE_URL",
    "REDIS_URL",
    "MILLSTREAM_HOST",
    "MILLSTREAM_PORT",
    "MILLSTREAM_HANDLERS",
    "MILLSTREAM_OUTPUT_DIR",
    "MILLSTREAM_DATA_DIR",
    "MILLSTREAM_WEBHOOK_SECRET",
    SOCKET_VARIABLE,
)
READ = ("MILLSTREAM_LOG_FILE", "MILLSTREAM_LOG_FORMAT")  # logs are
RESERVED = (*OWN, *READ, "MILLSTREAM_PROBES", "MILLSTREAM_API_KEYS")  # for faults; our client has no key
ALLOW = "MILLSTREAM_OUTGOING_ALLOW"


@dataclass(frozen=True)
class Shape:
    """How many processes of each part. `split`: the consumers only work, and each service role is a process of its own.

    `earlier` is the checkout of an earlier version, which all begin with.
    """

    producers: int = 2
    consumers: int = 2
    split: bool = False
    mistake: str = ""  # of chaos.mutants.mistakes
    earlier: Path | None = None

    @property
    def processes(self) -> int:
        """All of them."""
        return self.producers + self.consumers + (len(SERVICES) if self.split else 0)


class World:
    """Everything that a run has. Use `standing` to build it."""

    def __init__(self, servers: Servers, folder: Path, journal: Journal, dice: Random, settings: Mapping[str, str]) -> None:
        self.servers = servers
        self.journal = journal
        self.dice = dice
        self.folder = folder.resolve()  # processes may start elsewhere
        self.port = free_port()
        self.recording = self.folder / "recording.jsonl"
        self.members: list[Member] = []
        self.homes = [Path.cwd()]  # of the versions that its members may run, the earlier one first
        self.wires: dict[tuple[str, str], Proxy] = {}  # by name of the member and store
        self.hook_url = ""
        self.chosen = dict(settings)
        self.settings = Settings()
        self.deaths: dict[int, int] = {}  # pid -> exit code
        self.troubled_at = 0.0  # when the last of them died, or all was healed
        self._held: set[str] = set()  # names of members that a fault has for itself
        self._socket = servers.folder / f"recorder-{secrets.token_hex(4)}"  # the path of a socket may have 107 bytes only

    @property
    def url(self) -> str:
        """Base URL of the producers."""
        return f"http://127.0.0.1:{self.port}"

    def alive(self, *parts: str) -> list[Member]:
        """Members that run; of these parts, if any are named."""
        return [member for member in self.members if member.alive and (not parts or member.part in parts)]

    def free(self, *parts: str) -> list[Member]:
        """Those of them that nobody holds."""
        return [member for member in self.alive(*parts) if member.name not in self._held]

    def any(self, *parts: str) -> Member:
        """One of them by chance. Raises LookupError when none is there."""
        if not (there := self.free(*parts)):
            raise LookupError(f"no {' or '.join(parts) or 'process'} runs that no other fault has")
        return self.dice.choice(there)

    @contextmanager
    def holding(self, member: Member) -> Iterator[None]:
        """Keep it for one fault: no other is offered it meanwhile."""
        self._held.add(member.name)
        try:
            yield
        finally:
            self._held.discard(member.name)

    def group_of(self, part: str) -> str:
        """The kind of processes that this part is counted with."""
        return part if part in GROUPS else "service"

    # Building

    async def build(self, stack: AsyncExitStack, shape: Shape, handlers: Sequence[str]) -> None:
        """Start everything and return when a job can run."""
        await self.servers.heal()  # a segment that the service did not survive may have left them broken
        name = f"chaos_{secrets.token_hex(4)}"
        self.database_url = await self.servers.new_database(name)
        stack.push_async_callback(self.servers.drop_database, name)
        self.database = Database(self.database_url, "chaos", timeout=20)
        stack.push_async_callback(self.database.close)
        await migrate(self.database)
        async with self.database.transaction() as transaction:
            await transaction.script((files("chaos") / "moves.sql").read_text(encoding="utf-8"))
        self.hook_url = await stack.enter_async_context(receiving(self.journal, Random(self.dice.random())))
        plan = _members(shape)
        for name in (name for name, _, _ in plan):
            for store, url in zip(STORES, (self.database_url, self.servers.valkey.url), strict=True):
                wire = self.wires[name, store] = Proxy(url)
                await wire.start()
                stack.push_async_callback(wire.stop)
        self.settings = load(self._environment(plan[0][0], handlers))
        self.broker = Broker(self.servers.valkey.url, Keys(self.settings.stream), self.settings.group)
        stack.push_async_callback(self.broker.close)
        await self.broker.command("FLUSHALL")
        await self._start_recorder(stack)
        self.homes = [*filter(None, [shape.earlier]), Path.cwd()]
        self._add_members(plan, shape.mistake, handlers)
        stack.callback(self.kill_all)
        for member in self.members:
            self.begin(member)
        await until(self._is_ready, READY_SECONDS, "the service is ready")
        self.client = await stack.enter_async_context(Client(self.url, self.journal, Random(self.dice.random())))

    async def _start_recorder(self, stack: AsyncExitStack) -> None:
        recorder = Process([sys.executable, "-m", "chaos.recorder", self._socket, self.recording])
        recorder.start()
        stack.callback(recorder.kill)

        async def listens() -> bool:
            return self._socket.exists()

        await until(listens, READY_SECONDS, "the recorder listens")

    def mark_recording(self) -> None:
        """Tell the recorder that nothing follows."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.connect(str(self._socket))
            line.send(b'{"e":"mark"}')

    def _add_members(self, plan: Sequence[tuple[str, str, Sequence[str]]], mistake: str, handlers: Sequence[str]) -> None:
        wrong = ["chaos.mutants.run", mistake] if mistake else []
        for name, part, words in plan:
            environment = self._environment(name, handlers)
            argv, log = [sys.executable, "-m", *wrong, *words], self.folder / f"{name}.log"
            self.members.append(Member(name, part, argv, environment, log, self.homes[0]))

    def _environment(self, name: str, handlers: Sequence[str]) -> dict[str, str]:
        given = {name: os.environ[name] for name in INHERITED if name in os.environ}
        folders = [*filter(None, given.get("PYTHONPATH", "").split(os.pathsep)), "."]
        given["PYTHONPATH"] = os.pathsep.join(str(Path(folder).resolve()) for folder in folders)  # it may start elsewhere
        defaults = DEFAULTS if handlers else DEFAULTS | OF_OUR_JOBS
        allowed = [self.hook_url.split("/")[2], self.chosen.get(ALLOW, "")]
        own = self._own(name, handlers)
        return given | defaults | self.chosen | own | {ALLOW: ",".join(filter(None, allowed))}

    def _own(self, name: str, handlers: Sequence[str]) -> dict[str, str]:
        """Return what nobody else has a say in: `OWN`."""
        return {
            "DATABASE_URL": self.wires[name, "postgres"].url,
            "REDIS_URL": self.wires[name, "redis"].url,
            "MILLSTREAM_HOST": "127.0.0.1",
            "MILLSTREAM_PORT": str(self.port),
            "MILLSTREAM_HANDLERS": ",".join(dict.fromkeys((*handlers, "chaos.work", "chaos.spy"))),
            "MILLSTREAM_OUTPUT_DIR": str(self.folder / "output"),
            "MILLSTREAM_DATA_DIR": str(self.folder / "data"),
            "MILLSTREAM_WEBHOOK_SECRET": WEBHOOK_SECRET,
            SOCKET_VARIABLE: str(self._socket),
        }

    async def _is_ready(self) -> bool:
        for member in self.members:
            if not member.alive:
                raise ChaosError(f"{member.name} ended with {member.returncode}: {member.last_line()}")
        return await self._serves()

    async def _serves(self) -> bool:
        """Whether all run: consumers have leases, producers listen, and one of them is ready. Who ends as soon as it starts does not."""
        try:
            held = {pid_of(row[0]) for row in await self.database.fetch(LIVE)}
        except UnavailableError:
            return False
        there = all(listens(member) if member.part == "producer" else member.alive and member.pid in held for member in self.members)
        return there and await self.answers()

    async def answers(self) -> bool:
        """Whether a producer says that it is ready."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http, http.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        return False

    async def serves(self, member: Member) -> bool:
        """Whether it is ready: a consumer has a lease, a producer listens."""
        if member.part == "producer":
            return listens(member)
        with suppress(UnavailableError):
            return bool(await self.database.fetch_value(LEASED, f"%:{member.pid}:%"))
        return False

    async def heal(self, within: float) -> None:
        """Make sure that nothing is broken any more, whatever the faults have left, and return when all processes serve.

        Raises NotInTimeError and UnavailableError.
        """
        for wire in self.wires.values():
            wire.heal()
        await self.servers.heal()
        for member in self.members:
            member.signal(signal.SIGCONT)

        await until(self._serves, within, "all processes serve again")
        self.troubled_at = time.time()

    # Keeping alive

    async def keep(self) -> None:
        """Start whoever died again, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for member in self.members:
                    if member.wanted and not member.alive:
                        member.wanted = False
                        self.note_death(member)
                        tasks.create_task(self._restart(member))
                await asyncio.sleep(LOOK_SECONDS)

    def note_death(self, member: Member) -> None:
        """Write down that it ended, and how."""
        if member.pid not in self.deaths and member.returncode is not None:
            self.deaths[member.pid] = member.returncode
            self.troubled_at = time.time()
            by_us = member.was_killed
            self.journal.note("died", member=member.name, part=member.part, pid=member.pid, code=member.returncode, by_us=by_us)

    async def _restart(self, member: Member) -> None:
        await asyncio.sleep(self.dice.uniform(*RESTART_SECONDS))
        self.begin(member)

    def begin(self, member: Member, **extra: str) -> None:
        """Start it, and write that down. Another fault may have started it already."""
        if member.alive:
            return
        member.start(**extra)
        self.journal.note("started", member=member.name, part=member.part, pid=member.pid, home=str(member.home))

    async def restart(self, member: Member, **extra: str) -> int:
        """Let it end in order, and start it again; return its pid."""
        await self.drain(member)
        self.note_death(member)
        self.begin(member, **extra)
        return member.pid

    async def stop_members(self) -> None:
        """Let all processes end in order."""
        await asyncio.gather(*(self.drain(member, 10) for member in self.members))
        for member in self.members:
            self.note_death(member)

    async def drain(self, member: Member, more_seconds: float = 5) -> None:
        """Let it end in order; note it when that takes longer than its grace and so many seconds."""
        self.journal.note("told", member=member.name, pid=member.pid)
        pid, seconds = member.pid, self.settings.grace_seconds + more_seconds
        if not await member.drained(seconds):
            self.journal.note("hung", member=member.name, pid=pid, seconds=seconds)

    def kill_all(self) -> None:
        """End all processes at once."""
        for member in self.members:
            member.wanted = False
            member.kill()


def listens(member: Member) -> bool:
    """Whether that producer takes connections."""
    with suppress(psutil.Error):
        return member.alive and any(link.status == psutil.CONN_LISTEN for link in psutil.Process(member.pid).net_connections("tcp"))
    return False


def _members(shape: Shape) -> Sequence[tuple[str, str, Sequence[str]]]:
    """Return (name, part, command line) of each."""
    roles = ["--only", "worker"] if shape.split else []
    parts = [("producer", ["producer"])] * shape.producers + [("consumer", ["consumer", *roles])] * shape.consumers
    parts += [(role, ["consumer", "--only", role]) for role in SERVICES if shape.split]
    return [(f"{part}-{number}", part, words) for number, (part, words) in enumerate(parts, 1)]


@asynccontextmanager
async def standing(
    servers: Servers,
    folder: Path,
    journal: Journal,
    dice: Random,
    *,
    shape: Shape,
    handlers: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """Return a world that works; it is torn down in the end. Raises ChaosError when the service does not come up."""
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        world = World(servers, folder, journal, dice, settings or {})
        with or_else(ChaosError, "the service did not come up"):
            await world.build(stack, shape, handlers)
        yield world


WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()  # signs to a receiver that does not look
