"""Starts a PostgreSQL and a Valkey in the folder that is its argument, prints their process ids, and waits to be killed."""

import signal
import sys
from pathlib import Path

from shared.embedded import Postgres, Valkey

folder = Path(sys.argv[1])
servers = [Postgres(folder / "postgres"), Valkey(folder / "valkey")]
for server in servers:
    server.start()
print(*(server.pid for server in servers), flush=True)  # noqa: T201 - its parent reads it
signal.pause()
