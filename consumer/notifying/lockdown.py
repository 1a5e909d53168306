"""The guard for a whole process: whatever a library does, it connects only where outgoing traffic may, and sees no files.

For libraries that bring their own way to connect. An audit hook (PEP 578) hears of every socket, file and process that Python
code asks for, and cannot be removed. It bounds what data can make trusted code do; it is no jail for hostile code.
"""

import os
import socket
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

from consumer.outgoing import ForbiddenAddressError
from consumer.outgoing.guard import Guard

__all__ = ["lock_down"]

_LIBRARIES = tuple({os.path.realpath(path) + os.sep for name, path in sysconfig.get_paths().items() if "lib" in name})
_DEVICES = ("/dev/null", "/dev/urandom")
_NEVER = (
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn"),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"),
    "socket.bind",
)


def lock_down(guard: Guard) -> None:
    """From here on, and for good. Import what is needed before: afterwards only libraries can be read."""
    socket.getaddrinfo = _guarded_lookup(guard, socket.getaddrinfo)
    sys.addaudithook(_hook(guard))


def _guarded_lookup(guard: Guard, look_up: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        found = look_up(host, port, *args, **options)
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
        for *_, address in found:
            guard.admit(name, int(address[1]), [str(address[0])])
        return found

    return getaddrinfo


def _hook(guard: Guard) -> Callable[[str, tuple[Any, ...]], None]:
    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            _check_socket(guard, *args)
        elif event == "open":
            _check_file(*args)
        elif event in _NEVER:
            raise PermissionError(f"{event} is not for notifications")

    return hear


def _check_socket(guard: Guard, used: socket.socket, address: Any) -> None:
    if address is None:  # a datagram on a socket that was connected, and checked then
        return
    if used.family not in {socket.AF_INET, socket.AF_INET6}:
        raise ForbiddenAddressError("a local socket is not for outgoing traffic")
    guard.check_connection(str(address[0]), int(address[1]))


def _check_file(path: Any, mode: str | None, flags: int) -> None:
    if isinstance(path, int):  # it is open already
        return
    real = os.path.realpath(os.fsdecode(path))
    writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or (mode and set(mode) & set("wax+"))
    if real not in _DEVICES and (writes or not real.startswith(_LIBRARIES)):
        raise PermissionError("files are not for notifications")
