"""Mistakes of the streams: what is lost, left lying or read late."""

import asyncio
import os
import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import shared.line
import shared.redis_client
from chaos.checks import speed, stores
from chaos.mutants.mistakes.mistake import change_script, mistake, put
from consumer.reader import Reader
from shared.broker import Broker
from shared.errors import BrokerUnavailableError

PATIENCE_SECONDS = 0.03
REPLY_SECONDS = 0.4
MOST_ENTRIES = 20
RARELY = 0.005
PAUSE_SECONDS = 4.0


@mistake(stores.nothing_is_left)
def group_at_the_end() -> None:
    """The group is made at `$`: what is in the stream is skipped."""

    async def ensure(self: Any) -> None:
        for lane in self.lanes:
            try:
                with shared.redis_client.translated():
                    await self.client.xgroup_create(self.keys.stream(lane), self._group, id="$", mkstream=True)
            except BrokerUnavailableError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    put(Broker, "ensure_groups", ensure)


@mistake(speed.nothing_waits)
def maxlen() -> None:
    """XADD with MAXLEN trims entries that nobody has read."""
    change_script("publish", "redis.call('XADD', KEYS[1], '*'", f"redis.call('XADD', KEYS[1], 'MAXLEN', '{MOST_ENTRIES}', '*'")


@mistake(stores.letters_are_added_once)
def retries_by_default() -> None:
    """A command whose answer is late is sent again, as redis-py does unless told otherwise."""

    async def stubborn(self: Any, *words: str | int) -> Any:
        line = self._connection
        async with self._turn:
            for limit in (REPLY_SECONDS, REPLY_SECONDS, REPLY_SECONDS, None):
                await line.connect()
                try:
                    async with asyncio.timeout(limit):
                        await line.send_packed_command(line.pack_command(*words), check_health=False)
                        return await line.read_response()
                except TimeoutError:
                    await line.disconnect()
        raise TimeoutError("no limit, and still no answer")

    put(shared.line.Line, "call", stubborn)


@mistake(speed.nothing_waits)
def cancelled_read() -> None:
    """XREADGROUP is cancelled when it takes long: what was on its way is stranded."""
    wait = Broker.wait

    async def impatient(self: Any, *args: Any) -> Any:
        try:
            return await asyncio.wait_for(wait(self, *args), PATIENCE_SECONDS)
        except TimeoutError:
            return []

    put(Broker, "wait", impatient)


@mistake(speed.nothing_waits)
def slow_reads() -> None:
    """A worker looks for jobs every few seconds."""
    read = Reader.read

    async def lazy(self: Any, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(PAUSE_SECONDS)
        return await read(self, *args, **options)

    put(Reader, "read", lazy)


@mistake(stores.letters_are_added_once)
def letters_are_added_twice() -> None:
    """A letter goes into the DLQ stream without a look whether it is there."""
    bury = Broker.bury

    async def insistent(self: Any, letters: Sequence[Any]) -> Any:
        await bury(self, [(letter, None) for letter, _ in letters])
        return await bury(self, letters)

    put(Broker, "bury", insistent)


@mistake(speed.nothing_waits)
def reads_forget() -> None:
    """One entry in two hundred is read and forgotten, and nobody looks for it until its worker's share is taken over."""
    read = Reader.read

    async def forgetful(self: Any, *args: Any, **options: Any) -> Any:
        return [entry for entry in await read(self, *args, **options) if random.random() > RARELY]

    async def blind(*_: Any) -> None:
        return None

    put(Reader, "read", forgetful)
    put(Reader, "look_for_strays", blind)


@mistake(speed.everybody_works)
def one_holds_its_lease_and_does_not_read() -> None:
    """The first consumer that comes to it."""
    read = Reader.read

    async def idle(self: Any, *args: Any, **options: Any) -> Any:
        mark = Path(os.environ["MILLSTREAM_DATA_DIR"]) / "idle"
        if mark.exists() and mark.read_text() == str(os.getpid()):
            await asyncio.sleep(PAUSE_SECONDS)
            return []
        with suppress(FileExistsError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            with mark.open("x") as file:
                file.write(str(os.getpid()))
        return await read(self, *args, **options)

    put(Reader, "read", idle)
