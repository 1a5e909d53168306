"""The other calls that a load test makes: one at a time, on a connection of its own."""

import asyncio
from typing import Any

import orjson

from loadtest.client import Client
from loadtest.http1 import ProtocolError, Response
from loadtest.load.options import Options
from loadtest.load.work import headers


class AwayError(Exception):
    """Nobody answers, or not now."""


class RefusedError(Exception):
    """The API does not do what it was asked for."""


class Api:
    """Asks the API. Raises AwayError, which may pass, and RefusedError, which will not."""

    def __init__(self, options: Options) -> None:
        self._target = options.target
        self._timeout = options.timeout
        self._headers = headers(options)
        self._client: Client | None = None

    async def get(self, path: str) -> bytes:
        """Return the body that GET answers."""
        return self._good(await self.call("GET", path)).body

    async def get_json(self, path: str) -> Any:
        """Return the value that GET answers."""
        try:
            return orjson.loads(await self.get(path))
        except ValueError as error:
            raise RefusedError(f"what answers at {self.where} is no millstream") from error

    async def call(self, method: str, path: str, body: bytes | None = None) -> Response:
        """Return any answer."""
        kind = () if body is None else ("Content-Type: application/json",)
        request = self._target.request(method, path, (*self._headers, *kind), body)
        try:
            if self._client is None or not self._client.is_open:
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(self._timeout):
                    _, self._client = await loop.create_connection(Client, self._target.host, self._target.port)
            response = await self._client.ask(request, self._timeout)
        except TimeoutError as error:
            raise AwayError(f"no answer from {self.where} within {self._timeout:g} s") from error
        except OSError as error:
            raise AwayError(f"nobody answers at {self.where}: {error.strerror or error}") from error
        except ProtocolError as error:
            raise RefusedError(f"what answers at {self.where} is no millstream: {error}") from error
        if response.closes:
            self.close()
        return response

    def close(self) -> None:
        """Hang up."""
        if self._client is not None and self._client.is_open:
            self._client.close()

    @property
    def where(self) -> str:
        """Host and port."""
        return f"{self._target.host}:{self._target.port}"

    def _good(self, response: Response) -> Response:
        if response.ok:
            return response
        text = f"HTTP {response.status}: {detail(response)}"
        raise AwayError(text) if response.status in {429, 502, 503, 504} else RefusedError(text)


def detail(response: Response) -> str:
    """Return what a problem document says, with its reasons; else the beginning of the body."""
    try:
        problem = orjson.loads(response.body)
        told = str(problem["detail"])
        more = [error for error in problem.get("errors", ()) if error["detail"] not in told]
        return "; ".join([told, *(f"{error.get('pointer', '')} {error['detail']}".strip() for error in more)])
    except (ValueError, KeyError, TypeError, AttributeError):
        return response.body[:200].decode(errors="replace") or "no reason was given"
