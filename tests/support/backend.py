"""The servers that tests run against: embedded by default, containers or given URLs when MILLSTREAM_TEST_BACKEND says so."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

# No fsync: these tests kill processes, not the machine. Those that need durable servers start their own.
FAST = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}


@dataclass(frozen=True)
class Backend:
    """Where the servers are. `database_url` names a database in which databases may be created."""

    database_url: str
    redis_url: str

    def database(self, name: str) -> str:
        """Return the URL of the database `name` on the same server."""
        return urlunsplit(urlsplit(self.database_url)._replace(path=f"/{name}"))


@contextmanager
def chosen() -> Iterator[Backend]:
    """Start the servers that the environment asks for; stop them afterwards."""
    kind = os.environ.get("MILLSTREAM_TEST_BACKEND", "embedded")
    with {"embedded": embedded, "docker": docker, "external": external}[kind]() as backend:
        yield backend


@contextmanager
def embedded() -> Iterator[Backend]:
    """Real servers out of wheels, in a folder of their own."""
    from shared.embedded.postgres import Postgres  # noqa: PLC0415 - the extra is needed by this backend only
    from shared.embedded.valkey import Valkey  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="millstream-test-", dir=_fastest_folder()) as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another account when we are root
        postgres, valkey = Postgres(Path(folder, "postgres"), options=FAST), Valkey(Path(folder, "valkey"))
        for server in (postgres, valkey):
            server.start()
            stack.callback(server.stop)
        yield Backend(postgres.url, valkey.url)


def _fastest_folder() -> str | None:
    """Memory where there is enough of it: copying the template for every test takes a tenth of the time there."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder with a name of its own is made in it
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2 * 1024**3 else None


@contextmanager
def docker() -> Iterator[Backend]:
    """The official images, by testcontainers."""
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415
    from testcontainers.community.redis import RedisContainer  # noqa: PLC0415

    command = "postgres " + " ".join(f"-c {name}={value}" for name, value in FAST.items())
    with PostgresContainer("postgres:17", driver=None).with_command(command) as postgres, RedisContainer("redis:8") as redis:
        redis_url = f"redis://{redis.get_container_host_ip()}:{redis.get_exposed_port(6379)}/0"
        yield Backend(postgres.get_connection_url(), redis_url)


@contextmanager
def external() -> Iterator[Backend]:
    """Servers that are there: DATABASE_URL (may create databases) and REDIS_URL. Keys and databases of tests have names of their own."""
    yield Backend(os.environ["DATABASE_URL"], os.environ["REDIS_URL"])
