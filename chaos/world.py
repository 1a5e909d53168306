"""The service under test: servers, proxies before them, and its processes."""

import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from random import Random

import aiohttp
import psutil

from chaos.client import Client
from chaos.crew import Crew
from chaos.environment import WEBHOOK_SECRET, environment
from chaos.errors import ChaosError, or_else
from chaos.history import pid_of
from chaos.hooks import receiving
from chaos.journal import Journal
from chaos.member import Member
from chaos.proxy import Proxy
from chaos.recorder import SOCKET_VARIABLE
from chaos.servers import Servers, until
from chaos.shape import Shape
from shared.broker import Broker
from shared.database import Database
from shared.embedded.folder import free_port
from shared.embedded.process import Process
from shared.errors import UnavailableError
from shared.keys import Keys
from shared.migrate import migrate
from shared.settings import load

READY_SECONDS = 60.0
LIVE = "SELECT worker FROM leases WHERE dead_at IS NULL"
STORES = ("postgres", "redis")
LEASED = "SELECT count(*) FROM leases WHERE worker LIKE $1 AND dead_at IS NULL"


class World(Crew):
    """Everything that a run has. Use `standing` to build it."""

    def __init__(self, servers: Servers, folder: Path, journal: Journal, dice: Random, settings: Mapping[str, str]) -> None:
        super().__init__(journal, dice)
        self.servers = servers
        self.folder = folder.resolve()  # processes may start elsewhere
        self.port = free_port()
        self.recording = self.folder / "recording.jsonl"
        self.homes = [Path.cwd()]  # of the versions that its members may run, the earlier one first
        self.wires: dict[tuple[str, str], Proxy] = {}  # by name of the member and store
        self.hook_url = ""
        self.chosen = dict(settings)
        self._socket = servers.folder / f"recorder-{secrets.token_hex(4)}"  # the path of a socket may have 107 bytes only

    @property
    def url(self) -> str:
        """Base URL of the producers."""
        return f"http://127.0.0.1:{self.port}"

    # Building

    async def build(self, stack: AsyncExitStack, shape: Shape, handlers: Sequence[str]) -> None:
        """Start everything and return when a job can run."""
        await self.servers.heal()  # a segment that the service did not survive may have left them broken
        await self._make_database(stack)
        self.hook_url = await stack.enter_async_context(receiving(self.journal, Random(self.dice.random())))
        await self._lay_wires(stack, [name for name, _, _ in shape.members])
        self.settings = load(self._environment(shape.members[0][0], handlers))
        self.broker = Broker(self.servers.valkey.url, Keys(self.settings.stream), self.settings.group)
        stack.push_async_callback(self.broker.close)
        await self.broker.command("FLUSHALL")
        await self._start_recorder(stack)
        self._add_members(shape, handlers)
        stack.callback(self.kill_all)
        for member in self.members:
            self.begin(member)
        await until(self._is_ready, READY_SECONDS, "the service is ready")
        self.client = await stack.enter_async_context(Client(self.url, self.journal, Random(self.dice.random())))

    async def _make_database(self, stack: AsyncExitStack) -> None:
        """With the log of every change of a row."""
        name = f"chaos_{secrets.token_hex(4)}"
        self.database_url = await self.servers.new_database(name)
        stack.push_async_callback(self.servers.drop_database, name)
        self.database = Database(self.database_url, "chaos", timeout=20)
        stack.push_async_callback(self.database.close)
        await migrate(self.database)
        async with self.database.transaction() as transaction:
            await transaction.script((files("chaos") / "moves.sql").read_text(encoding="utf-8"))

    async def _lay_wires(self, stack: AsyncExitStack, names: Sequence[str]) -> None:
        """Put a proxy before each store for each process."""
        for name in names:
            for store, url in zip(STORES, (self.database_url, self.servers.valkey.url), strict=True):
                wire = self.wires[name, store] = Proxy(url)
                await wire.start()
                stack.push_async_callback(wire.stop)

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

    def _add_members(self, shape: Shape, handlers: Sequence[str]) -> None:
        self.homes = [*filter(None, [shape.earlier]), Path.cwd()]
        wrong = ["chaos.mutants.run", shape.mistake] if shape.mistake else []
        for name, part, words in shape.members:
            argv, log = [sys.executable, "-m", *wrong, *words], self.folder / f"{name}.log"
            self.members.append(Member(name, part, argv, self._environment(name, handlers), log, self.homes[0]))

    def _environment(self, name: str, handlers: Sequence[str]) -> dict[str, str]:
        return environment(self._own(name, handlers), self.chosen, self.hook_url.split("/")[2], handlers)

    def _own(self, name: str, handlers: Sequence[str]) -> dict[str, str]:
        """Return what nobody else has a say in."""
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

    # Being ready

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


def listens(member: Member) -> bool:
    """Whether that producer takes connections."""
    with suppress(psutil.Error):
        return member.alive and any(link.status == psutil.CONN_LISTEN for link in psutil.Process(member.pid).net_connections("tcp"))
    return False


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
