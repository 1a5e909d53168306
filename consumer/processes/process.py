"""One child process, seen from the consumer: how it starts, runs a job, is asked to stop, and dies."""

import asyncio
import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from typing import Any

import msgspec

from consumer import outcome
from consumer.outcome import Outcome
from consumer.processes.calls import answer
from consumer.processes.messages import (
    HEADER_BYTES,
    Call,
    Ended,
    Hello,
    Line,
    Message,
    Ready,
    Run,
    Stop,
    ToConsumer,
    Unfit,
    encode,
    length,
    to_consumer,
)
from consumer.processes.output import Output
from consumer.processes.spawn import spawn
from shared.errors import ProcessDied
from shared.log import get_log
from shared.models import Claimed
from shared.settings import Settings

log = get_log()

START_SECONDS = 60.0  # to import the handlers
END_SECONDS = 2.0  # a child that has been told to end, or has closed its socket
LINES_A_BREATH, BREATH_SECONDS = 100, 0.01  # whoever logs without end gets 10,000 lines a second, and leaves the loop to others


class ChildProcess:
    """Runs one job at a time. Made by `start`."""

    def __init__(self, popen: "subprocess.Popen[bytes]", connection: socket.socket, output: Output) -> None:
        self._popen = popen
        self._connection = connection
        self._output = output
        self._reader = asyncio.StreamReader()
        self._transport: asyncio.WriteTransport | None = None
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self.usable = False  # it can be given a job
        self._doing = "while it imported the handlers"
        threading.Thread(target=self._wait, name=f"child {popen.pid}", daemon=True).start()

    @classmethod
    async def start(cls, settings: Settings) -> "ChildProcess":
        """Start a child and wait until it has imported the handlers. Raises ProcessDied that says why it could not."""
        if threading.current_thread() is not threading.main_thread():
            # The kernel ends a child with the THREAD that made it, not only with its process.
            raise RuntimeError("start children from the main thread: they would die with any other one")
        child = cls(*spawn())
        try:
            await child._connect()
            await child._introduced(settings)
        except BaseException:
            child.kill()
            await child.dead()
            raise
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    async def run(self, job: Claimed, remote: Any, job_log: Any) -> Outcome | None:
        """Run the job and return what becomes of it; None: its handler gave in to `ask`.

        Calls of the handler go to coroutine methods of `remote`. Raises ProcessDied when the process ends first.
        """
        self.usable = False
        self._output.begin(job_log)
        self._send(Run(job))
        lines_count = 0
        while True:
            match await self._receive():
                case Line() as line:
                    lines_count += 1
                    if lines_count % LINES_A_BREATH == 0:
                        await asyncio.sleep(BREATH_SECONDS)
                    job_log.log(_level(line), line.event, **_fields(line))
                case Call() as call:
                    self._write(await answer(call, job, remote))
                case Ended() as ended:
                    self.usable = not ended.tired
                    return _outcome(ended)
                case _:
                    raise await self._broken("spoke out of turn")

    def ask(self, job_id: str, *, timed_out: bool) -> None:
        """Have the handler of this job end, if it listens."""
        self._send(Stop(job_id, timed_out))

    def kill(self) -> None:
        """End it at once, and what it has started."""
        self.usable = False
        if self._popen.returncode is None:
            self._kill_group()

    async def retire(self) -> None:
        """Let an idle child end by itself, and wait until it has."""
        self._close()
        await self._dead_within(END_SECONDS)
        await self.dead()

    async def dead(self) -> None:
        """Wait until it has ended; kill it before or it may never do."""
        await self._ended.wait()
        self._close()
        self._output.end()

    # Messages

    async def _connect(self) -> None:
        protocol = asyncio.StreamReaderProtocol(self._reader)
        self._transport, _ = await self._loop.create_connection(lambda: protocol, sock=self._connection)
        await self._output.start()

    async def _introduced(self, settings: Settings) -> None:
        self._send(Hello(settings))
        try:
            async with asyncio.timeout(START_SECONDS):
                while not isinstance(message := await self._receive(), Ready):
                    if isinstance(message, Line):
                        log.log(_level(message), message.event, child=self.pid, **_fields(message))
                    if isinstance(message, Unfit):
                        raise ProcessDied(f"the handler's process could not start: {'; '.join(message.problems)}")
            self.usable, self._doing = True, ""
        except TimeoutError:
            raise ProcessDied(f"the handler's process had not imported the handlers after {START_SECONDS:g} s") from None

    def _send(self, message: Message) -> None:
        self._write(encode(message))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def _receive(self) -> ToConsumer:
        try:
            return to_consumer(await self._reader.readexactly(length(await self._reader.readexactly(HEADER_BYTES))))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise await self._broken("closed its connection to the consumer") from None
        except (ValueError, msgspec.MsgspecError):
            raise await self._broken("wrote what is no message into its connection to the consumer") from None

    # Its end

    async def _broken(self, deed: str) -> ProcessDied:
        """Return the error that says how it ended. If it still runs, it has done that deed, and is killed for it."""
        if await self._dead_within(END_SECONDS):
            return ProcessDied(f"the handler's process {how_it_ended(self._popen.returncode)} {self._doing}".rstrip())
        await self.dead()
        return ProcessDied(f"the handler's process {deed}, and was killed")

    async def _dead_within(self, seconds: float) -> bool:
        """Wait for its end, kill it after so long; return whether it ended by itself."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
                return True
        self.kill()
        return False

    def _wait(self) -> None:
        """Wait for its end, in a thread: whoever else holds its socket or its output tells nothing about it."""
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)  # not reaped yet: its number is still its own
            self._kill_group()
        self._popen.wait()
        with suppress(RuntimeError):  # the loop has ended before the process
            self._loop.call_soon_threadsafe(self._has_ended)

    def _has_ended(self) -> None:
        self.usable = False
        self._ended.set()
        # What it had written is read first; somebody outside of its group may hold the other end for ever.
        self._loop.call_later(END_SECONDS, self._close)

    def _close(self) -> None:
        if self._transport is None:
            self._connection.close()
        else:
            self._transport.close()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: nobody in the group can be signalled any more
            os.killpg(self._popen.pid, signal.SIGKILL)


def how_it_ended(returncode: int | None) -> str:
    """Say it in words."""
    if returncode is None or returncode >= 0:
        return f"exited with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "of no name"
    hint = "; out of memory?" if -returncode == signal.SIGKILL else ""
    return f"was killed by signal {name} ({-returncode}){hint}"


def _level(line: Line) -> int:
    return min(max(line.level // 10 * 10, 10), 50)  # libraries invent levels in between


def _fields(line: Line) -> dict[str, Any]:
    fields = msgspec.json.decode(line.fields)
    return {f"{name}_" if name in {"event", "level", "self"} else name: value for name, value in fields.items()}


def _outcome(ended: Ended) -> Outcome | None:
    if not ended.kind:
        return None
    made: Outcome = getattr(outcome, ended.kind)(*ended.fields)
    return made
