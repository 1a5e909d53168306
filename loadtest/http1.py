"""As much of HTTP/1.1 as a load generator needs: a request as bytes, responses cut out of a stream of bytes.

Lean on purpose: the generator shares the machine with what it measures. Bodies are delimited by Content-Length only; a
server that answers in chunks is refused, never miscounted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
CLOSES = b"\r\nconnection: close"
RETRY_AFTER = b"\r\nretry-after:"
MAX_HEAD_BYTES = 65_536


class ProtocolError(Exception):
    """The server sent something that is no response with a Content-Length."""


@dataclass(slots=True)  # not frozen: that would make each one twice as dear, and there is one a request
class Response:
    """A complete response."""

    status: int
    body: bytes
    closes: bool = field(default=False, compare=False)  # the server ends the connection after it
    retry_after: int | None = field(default=None, compare=False)  # seconds; of an answer that is not 2xx

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Target:
    """Where requests go."""

    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Raise ValueError unless `url` is http://host:port/path."""
        parts = urlsplit(url)
        try:
            port = parts.port or 80
        except ValueError:
            port = 0
        if parts.scheme != "http" or not parts.hostname or not port or not url.isascii():
            raise ValueError(f"{url!r}: must be http://host:port/path")
        return cls(parts.hostname, port, parts.path or "/")

    def post(self, body: bytes, content_type: str = "application/json") -> bytes:
        """Return a POST of `body` as the bytes that go over the wire."""
        return self.request("POST", "", (f"Content-Type: {content_type}",), body)

    def request(self, method: str, path: str, headers: Sequence[str] = (), body: bytes | None = None) -> bytes:
        """Return a request for what is at `path` below ours as the bytes that go over the wire."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        length = () if body is None else (f"Content-Length: {len(body)}",)
        lines = (f"{method} {self.path}{path} HTTP/1.1", f"Host: {host}:{self.port}", *headers, *length, "", "")
        return "\r\n".join(lines).encode() + (body or b"")


class ResponseReader:
    """Cuts a stream that arrives in arbitrary pieces into responses."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Response]:
        """Return the responses that `data` completed, oldest first. Raises ProtocolError."""
        buffer = self._rest + data if self._rest else data
        responses = []
        while buffer:
            response, size = _parse(buffer)
            if response is None:
                break
            responses.append(response)
            buffer = buffer[size:]
        self._rest = buffer
        return responses


def _parse(buffer: bytes) -> tuple[Response | None, int]:
    """Return the first response and its size in bytes; (None, 0) while it is incomplete."""
    end = buffer.find(HEAD_END)
    if end < 0:
        if len(buffer) > MAX_HEAD_BYTES:
            raise ProtocolError("a response head without an end")
        return None, 0
    head = buffer[:end].lower()
    if not head.startswith(b"http/1.") or not head[9:12].isdigit():
        raise ProtocolError(f"no status line: {head[:40]!r}")
    status = int(head[9:12])
    size = end + len(HEAD_END) + _content_length(head, status)
    if len(buffer) < size:
        return None, 0
    retry_after = None if status < 300 else _retry_after(head)
    return Response(status, buffer[end + len(HEAD_END) : size], CLOSES in head, retry_after), size


def _content_length(head: bytes, status: int) -> int:
    at = head.find(LENGTH)
    if at < 0:
        if status in {204, 304}:
            return 0
        raise ProtocolError(f"a response without Content-Length: {head[:200]!r}")
    digits = _value(head, at + len(LENGTH))
    if not digits.isdigit():
        raise ProtocolError(f"a bad Content-Length: {digits[:40]!r}")
    return int(digits)


def _retry_after(head: bytes) -> int | None:
    """Return the seconds; a date counts as none."""
    at = head.find(RETRY_AFTER)
    digits = _value(head, at + len(RETRY_AFTER)) if at >= 0 else b""
    return int(digits) if digits.isdigit() else None


def _value(head: bytes, begin: int) -> bytes:
    return head[begin:].partition(b"\r\n")[0].strip()
