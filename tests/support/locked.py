"""What tests let run in the sandbox after it has been locked down: each deed is tried, and what became of it is told."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from consumer.notifying.lockdown import lock_down
from consumer.outgoing.guard import Guard
from shared.allow_list import AllowList


def main(request: dict[str, Any], _data: bytes) -> Iterator[Any]:
    """Yield [deed, what it raised or "done"]."""
    lock_down(Guard(AllowList.parse(request["allow"])))
    port, folder = request["port"], Path(request["folder"])
    deeds: dict[str, Callable[[], Any]] = {
        "read": (folder / "secret").read_text,
        "read by a link": (folder / "link").read_text,
        "write": lambda: (folder / "new").write_text("x"),
        "append to a library": lambda: Path(os.__file__).open("a"),  # noqa: SIM115 - it must not open
        "remove": (folder / "secret").unlink,
        "make a folder": (folder / "new").mkdir,
        "run": lambda: subprocess.run(["true"], check=True),
        "run by a shell": lambda: os.system("true"),  # noqa: S605
        "fork": os.fork,
        "local socket": lambda: socket.socket(socket.AF_UNIX).connect(str(folder / "socket")),
        "listen": lambda: socket.socket().bind(("127.0.0.1", 0)),
        "connect": lambda: socket.create_connection(("127.0.0.1", port)),
        "connect by name": lambda: socket.create_connection(("localhost", port)),
        "connect without a lookup": lambda: socket.socket().connect(("127.0.0.1", port)),
        "connect and let the system look up": lambda: socket.socket().connect(("localhost", port)),
        "connect_ex": lambda: socket.socket().connect_ex(("127.0.0.1", port)),
        "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)),
        "import": lambda: import_module("xml.dom.minidom"),
        "random": lambda: os.open("/dev/urandom", os.O_RDONLY),
    }
    assert "xml.dom.minidom" not in sys.modules
    for name, deed in deeds.items():
        try:
            deed()
            yield [name, "done"]
        except Exception as error:  # noqa: BLE001 - which one is what the test asks
            yield [name, type(error).__name__]
