"""A mail server for trying things out: it keeps every mail as a file and sends none."""

import argparse
import asyncio
import os
import signal
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

LIMIT_BYTES = 25 * 1024 * 1024  # what large providers accept


class Sink:
    """Writes every mail to `folder` as `<timestamp>-<id>.eml`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd looks for it
        """Keep one mail; answer 250 only when it is on disk under its name."""
        to = ", ".join(envelope.rcpt_tos)
        head = f"X-MailFrom: {envelope.mail_from}\r\nX-RcptTo: {to}\r\n".encode()
        name = await asyncio.to_thread(keep, self.folder, head + envelope.content)
        return f"250 Kept as {name}"


def keep(folder: Path, mail: bytes) -> str:
    """Write `mail` whole or not at all; return the file's name."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}.eml"
    unfinished = folder / f".{name}"
    unfinished.write_bytes(mail)
    unfinished.replace(folder / name)
    return name


async def serve(folder: Path, port: int) -> None:
    """Take mail on 127.0.0.1 until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stopped.set)
    sink = Sink(folder)

    def protocol() -> SMTP:
        return SMTP(sink, data_size_limit=LIMIT_BYTES, enable_SMTPUTF8=True, hostname="localhost", ident="millstream")

    server = await loop.create_server(protocol, "127.0.0.1", port)
    await stopped.wait()
    server.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m cli.mail_sink", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the mails go")
    parser.add_argument("--port", type=int, default=1025)
    args = parser.parse_args()
    os.umask(0o077)
    args.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(args.folder, args.port))


if __name__ == "__main__":
    main()
