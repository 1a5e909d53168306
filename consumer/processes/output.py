"""What a child prints, as lines of the log. A flood of it costs nobody but the child."""

import asyncio
import os
from typing import Any

from shared.log import get_log

MAX_LINE_BYTES = 2_000
LINES_PER_JOB = 1_000  # the rest is counted, not kept
CHUNK_BYTES = 64 * 1024
BRAKE_SECONDS = 0.01  # between two reads of a flood: some 6 MB/s, so that reading it leaves the loop to others


class Output:
    """Reads the pipe behind a child's standard output and error until nobody holds its other end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = b""
        self._lines_left = LINES_PER_JOB
        self._dropped_count = 0
        self._log: Any = get_log()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read."""
        reader = asyncio.StreamReader()
        file = os.fdopen(self._descriptor, "rb", 0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        self._task = asyncio.create_task(self._read(reader))
        self._task.add_done_callback(lambda _: transport.close())

    def begin(self, log: Any) -> None:
        """What comes from now on is that of a new job, for `log`."""
        self._say_what_was_dropped()
        self._log, self._lines_left = log, LINES_PER_JOB

    def end(self) -> None:
        """Read no more: descendants that the handler left behind may hold the pipe for ever."""
        self._say_what_was_dropped()
        if self._task is not None:
            self._task.cancel()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            *lines, self._left = (self._left + chunk).split(b"\n")
            for line in lines:
                self._show(line)
            if len(self._left) > MAX_LINE_BYTES:  # a line without an end is cut into pieces
                self._show(self._left)
                self._left = b""
            if not self._lines_left:
                await asyncio.sleep(BRAKE_SECONDS)
        if self._left:
            self._show(self._left)

    def _show(self, line: bytes) -> None:
        if self._lines_left:
            self._lines_left -= 1
            self._log.info("handler_printed", text=line[:MAX_LINE_BYTES].decode("utf-8", "replace"))
        else:
            self._dropped_count += 1

    def _say_what_was_dropped(self) -> None:
        if self._dropped_count:
            self._log.warning("handler_output_dropped", lines_count=self._dropped_count)
            self._dropped_count = 0
