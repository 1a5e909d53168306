"""A client that remembers what it sent and what it was told, with numbers of its own in every payload."""

import itertools
import time
from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Any, Self

import aiohttp

from chaos.journal import Journal

OURS = "chaos."  # what the names of our own job types begin with
TIMEOUT_SECONDS = 4.0
CONNECTIONS = 100
OK = 200
HANGS_UP = 0.5  # of the requests end their connection: a producer that has just started would get none of the kept ones


class Client:
    """Sends jobs and other requests, and writes down what became of them."""

    def __init__(self, url: str, journal: Journal, dice: Random) -> None:
        self._url = url
        self._journal = journal
        self._dice = dice
        self.numbers = itertools.count(1)  # of the jobs that are still to come
        self._requests = itertools.count(1)
        self.recent: list[str] = []  # ids
        self.problem = ""  # why the last submission was refused

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(self._url, connector=aiohttp.TCPConnector(limit=CONNECTIONS))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.close()

    def number(self) -> int:
        """Return a number that no job had yet."""
        return next(self.numbers)

    async def submit(
        self,
        bodies: Sequence[dict[str, Any]],
        *,
        key: str | None = None,
        timeout: float = TIMEOUT_SECONDS,  # noqa: ASYNC109
        spared: bool = False,
    ) -> list[str]:
        """Send these jobs, several as one bulk. Returns their ids, none unless the answer was 2xx. `spared`: nobody will cancel them."""
        request = next(self._requests)
        numbers = [body["payload"].get("n") if body["type"].startswith(OURS) else None for body in bodies]
        self._journal.note("sent", r=request, numbers=numbers, key=key, patient=timeout == TIMEOUT_SECONDS)
        began = time.time()
        path, body = ("/jobs/bulk", bodies) if len(bodies) > 1 else ("/jobs", bodies[0])
        status, answer = await self._post(path, body, key, timeout)
        ids: list[str] = (answer.get("ids") or [answer["id"]]) if status in {200, 202} else []
        self._journal.note("answer", r=request, status=status, ids=ids, began=began)
        self.problem = "" if ids else _problem(status, answer)
        self.recent = [*self.recent[-200:], *(() if spared else ids)]
        return ids

    async def cancel(self, job_id: str) -> None:
        """Ask for the end of a job; whatever comes of it is noted."""
        self._journal.note("cancel", job=job_id)
        await self._post(f"/jobs/{job_id}/cancel", None, None, TIMEOUT_SECONDS)

    async def replay(self, limit: int) -> None:
        """Run some dead jobs again."""
        began = time.time()
        status, answer = await self._post("/dlq/replay", {"limit": limit}, None, TIMEOUT_SECONDS)
        self._journal.note("replay", limit=limit, began=began, ids=answer["ids"] if status == OK else None)

    async def put_schedule(self, name: str, definition: dict[str, Any]) -> None:
        """Make a schedule. Raises aiohttp's errors."""
        async with self._http.put(f"/schedules/{name}", json=definition) as answer:
            answer.raise_for_status()

    async def _post(self, path: str, body: Any, key: str | None, seconds: float) -> tuple[int, dict[str, Any]]:
        """Return the status, 0 if there was no answer, and its JSON."""
        headers = {"Idempotency-Key": key} if key else {}
        if self._dice.random() < HANGS_UP:
            headers["Connection"] = "close"
        try:
            async with self._http.post(path, json=body, headers=headers, timeout=aiohttp.ClientTimeout(total=seconds)) as answer:
                return answer.status, await answer.json(content_type=None) or {}
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, {}


def _problem(status: int, answer: dict[str, Any]) -> str:
    """Return why a submission was refused, and where it is wrong."""
    wrong = [f"{error.get('pointer')} {error.get('detail')}" for error in answer.get("errors") or ()]
    return "; ".join([str(answer.get("detail") or f"HTTP {status}"), *wrong])
