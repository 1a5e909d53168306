"""What is sent: requests as bytes, made before they are needed, or put together from jobs that were."""

import math
from collections.abc import Iterator, Sequence
from itertools import cycle, islice, repeat
from typing import NamedTuple

import orjson

from loadtest.load.options import Options
from loadtest.load.payloads import turns

MOST_BULK_BYTES = 16 * 1024 * 1024


class Request(NamedTuple):
    """The bytes of a request, and how many jobs it submits."""

    data: bytes
    job_count: int


def headers(options: Options) -> tuple[str, ...]:
    """Return the lines that every request has."""
    key = (f"Authorization: Bearer {options.api_key}",) if options.api_key else ()
    return key if options.keep_alive else (*key, "Connection: close")


def job(options: Options, kind: str) -> bytes:
    """Return one job as JSON."""
    lane = {name: value for name, value in (("queue", options.queue), ("priority", options.priority)) if value}
    head = orjson.dumps({"type": kind} | lane)
    return head[:-1] + b',"payload":' + options.payloads[kind] + b"}"


class Work:
    """The requests of a run, each taken once: at most `count` jobs in all."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.left: float = math.inf if options.count is None else options.count  # jobs
        self._headers = (*headers(options), "Content-Type: application/json")
        jobs = [job(options, kind) for kind in turns(options.mix)]
        self._jobs = cycle(jobs)
        if sum(map(len, jobs)) / len(jobs) * options.bulk > MOST_BULK_BYTES:
            raise ValueError(f"--bulk {options.bulk}: a request would be larger than the {MOST_BULK_BYTES >> 20} MiB that the API takes")
        self._ready = self._requests(jobs)

    @property
    def is_done(self) -> bool:
        """Whether everything was taken."""
        return not self.left

    def take(self) -> Request:
        """Return the next request; not when `is_done`."""
        if self.left < self._options.bulk:
            job_count, self.left = int(self.left), 0
            return self._bulk(list(islice(self._jobs, job_count)))
        self.left -= self._options.bulk
        return next(self._ready)

    def _requests(self, jobs: Sequence[bytes]) -> Iterator[Request]:
        """Return them without end; bulk requests of a mix are put together as they go, to keep all that differ could take much memory."""
        if self._options.bulk == 1:
            return cycle([self._request("/jobs", body, 1) for body in jobs])
        if len(jobs) == 1:
            return repeat(self._bulk(list(jobs) * self._options.bulk))
        return (self._bulk(list(islice(self._jobs, self._options.bulk))) for _ in repeat(None))

    def _bulk(self, jobs: Sequence[bytes]) -> Request:
        return self._request("/jobs/bulk", b"[" + b",".join(jobs) + b"]", len(jobs))

    def _request(self, path: str, body: bytes, job_count: int) -> Request:
        return Request(self._options.target.request("POST", path, self._headers, body), job_count)
