"""The HTTP client of the commands: standard library only, one connection a call, no proxy of the environment."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from shared.errors import ConfigError, MillstreamError, UnavailableError

TIMEOUT_SECONDS = 30.0
AWAY = {429, 502, 503, 504}  # another moment, the same request may be answered
NO_KEY = {401, 403}


class ApiError(MillstreamError):
    """The API has refused. `status` is that of HTTP; the text has every reason, a line each."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        detail = str(problem.get("detail") or f"HTTP {status}")
        lines = [detail, *(line for error in problem.get("errors", ()) if (line := _place(error, detail)))]
        if status in NO_KEY:
            lines.append("  Name a key with --api-key or MILLSTREAM_API_KEY.")
        super().__init__("\n".join(lines))


class Answer(NamedTuple):
    """What came back with a status below 400."""

    status: int
    headers: Mapping[str, str]
    json: Any


class Client:
    """Calls the API at `url`. Raises ApiError when it refuses, UnavailableError when nobody can be asked."""

    def __init__(self, url: str, api_key: str = "") -> None:
        try:
            parts = urlsplit(url)
            self._address = (parts.hostname or "", parts.port)
        except ValueError as error:
            raise ConfigError([f"{url!r} is no URL: {error}"]) from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or not url.isascii():
            raise ConfigError([f"{url!r} is no URL of an API; it looks like http://127.0.0.1:3000"])
        if not (api_key.isascii() and api_key.isprintable()):
            raise ConfigError(["an API key has visible ASCII characters only"])
        self.url = url.rstrip("/")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Return what GET answers; `query` leaves out what is None."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return self.call("GET", f"{path}?{urlencode(given)}" if given else path).json

    def post(self, path: str, body: Any = None, timeout: float = TIMEOUT_SECONDS) -> Any:
        """Return what POST answers; `body` becomes JSON."""
        return self.call("POST", path, None if body is None else json.dumps(body).encode(), timeout=timeout).json

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> Answer:
        """Send one request; `body` is JSON."""
        sent = self._headers | ({"Content-Type": "application/json"} if body is not None else {}) | dict(headers or {})
        connection = self._kind(*self._address, timeout=timeout)
        try:
            connection.request(method, self._prefix + path, body, sent)
            response = connection.getresponse()
            return self._answer(response.status, dict(response.getheaders()), response.read())
        except TimeoutError as error:
            raise UnavailableError(f"the API at {self.url} did not answer within {timeout:g} s") from error
        except (OSError, HTTPException) as error:
            raise UnavailableError(
                f"the API at {self.url} cannot be reached: {getattr(error, 'strerror', None) or error or type(error).__name__}",
                "Start it with `millstream up`, or name another one with --url or MILLSTREAM_URL.",
            ) from error
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            value = json.loads(body) if body else None
        except ValueError:
            raise UnavailableError(f"what answers at {self.url} is no millstream (HTTP {status}, and no JSON)") from None
        if status < 400:
            return Answer(status, headers, value)
        problem = value if isinstance(value, dict) else {}
        if status in AWAY:
            raise UnavailableError(str(problem.get("detail") or f"HTTP {status}"), "Try again in a moment.")
        raise ApiError(status, problem)


def _place(error: Mapping[str, Any], told: str) -> str:
    """Where an error is, and what it is unless that has been told."""
    pointer, detail = error.get("pointer", ""), str(error.get("detail", ""))
    if detail in told:
        return f"  at {pointer}" if pointer else ""
    return f"  {pointer}: {detail}" if pointer else f"  {detail}"
