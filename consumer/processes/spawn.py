"""How a child process comes to be."""

import os
import socket
import subprocess
import sys

from consumer.processes.output import Output
from shared.errors import ProcessDied


def spawn() -> "tuple[subprocess.Popen[bytes], socket.socket, Output]":
    """Start one; return it with our end of its socket and what it prints. Raises ProcessDied."""
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    ours.setblocking(False)
    try:
        popen = subprocess.Popen(  # noqa: S603 - a clean process that execs at once; it asks for the death signal itself
            [sys.executable, "-m", "consumer.child", str(theirs.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # a group of its own, which can be killed as a whole
        )
    except OSError as error:
        ours.close()
        os.close(read_end)
        raise ProcessDied(f"the handler's process could not start: {error}") from error
    finally:
        theirs.close()
        os.close(write_end)
    return popen, ours, Output(read_end)
