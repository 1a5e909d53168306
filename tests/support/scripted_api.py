"""A small HTTP server that answers as a test has written down, for what a real producer does not do on demand."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """One answer; a body that is no bytes is sent as JSON."""

    body: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Seen(NamedTuple):
    """One request."""

    line: str
    headers: dict[str, str]
    body: Any


class ScriptedApi:
    """Gives each reply once, the last one for ever; keeps what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.seen: list[Seen] = []
        self.url = ""

    def next(self) -> Reply:
        """Return the reply whose turn it is."""
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def scripted(*replies: Reply) -> Iterator[ScriptedApi]:
    """Serve on loopback until the block ends."""
    api = ScriptedApi(*replies)

    class Handler(BaseHTTPRequestHandler):
        """Writes down and answers."""

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            api.seen.append(Seen(f"{self.command} {self.path}", dict(self.headers), json.loads(body) if body else None))
            reply = api.next()
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in (*reply.headers, ("Content-Length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
