"""What has happened so far: counts, latencies, errors by kind, and the ids of accepted jobs."""

from collections import Counter
from typing import Any

import orjson

from loadtest.http1 import Response
from loadtest.load.accepted import Accepted
from loadtest.load.histogram import Histogram

ID_FIRST = b'{"id":"'
ID_PLACE = slice(len(ID_FIRST), len(ID_FIRST) + 36)
LATE_SECONDS = 0.01
TIMEOUT = "timeout"
LOST = "connection lost"
UNKNOWN_OUTCOMES = (TIMEOUT, LOST)  # nobody knows whether the jobs of such a request were stored
EXAMPLE_CHARACTERS = 300


class Meter:
    """Counts requests and jobs. Times are perf_counter's.

    `latency` is from the moment a request was due, `service` from the moment it was sent, both to its answer. In a closed loop a request
    is due when it is sent. Those that got no answer in time, or could not be sent, count in `latency` with the time they waited in vain.
    """

    def __init__(self, *, open_loop: bool) -> None:
        self.accepted = Accepted()
        self.latency = Histogram()
        self.service = Histogram() if open_loop else self.latency
        self.sent_jobs = self.sent_requests = 0
        self.answered_requests = self.failed_requests = 0
        self.late_requests = self.dropped_jobs = 0
        self.first_at = self.last_at = 0.0
        self.errors: Counter[str] = Counter()  # kind -> requests
        self.examples: dict[str, str] = {}

    @property
    def outstanding(self) -> int:
        """Requests that are still to be answered."""
        return self.sent_requests - self.answered_requests - self.failed_requests

    def sent(self, job_count: int, due_at: float, now: float) -> None:
        """Count a request that goes out."""
        self.first_at = self.first_at or now
        self.sent_requests += 1
        self.sent_jobs += job_count
        if now - due_at > LATE_SECONDS:
            self.late_requests += 1

    def answered(self, response: Response, job_count: int, due_at: float, sent_at: float, now: float) -> None:
        """Count an answer, whatever it says."""
        problem = self._accept(response, job_count) if response.ok else f"HTTP {response.status}"
        if problem:
            self.failed(problem, response.body.decode(errors="replace"))
            return
        self.answered_requests += 1
        self.last_at = now
        self.latency.record(now - due_at)
        if self.service is not self.latency:
            self.service.record(now - sent_at)

    def failed(self, kind: str, example: str) -> None:
        """Count a request that has not submitted its jobs, as far as we know."""
        self.failed_requests += 1
        self.errors[kind] += 1
        self.examples.setdefault(kind, example[:EXAMPLE_CHARACTERS])

    def timed_out(self, due_at: float, now: float, seconds: float) -> None:
        """Count a request whose answer stayed out."""
        self.failed(TIMEOUT, f"no answer within {seconds:g} s")
        self.latency.record(now - due_at)

    def dropped(self, job_count: int, waited: float, times: int = 1) -> None:
        """Count requests that were due for so long when the time was up, and were never sent."""
        self.dropped_jobs += job_count * times
        self.latency.record(waited, times)

    def _accept(self, response: Response, job_count: int) -> str:
        """Remember the ids; return what is wrong with the answer."""
        body = response.body
        try:
            if job_count == 1 and body.startswith(ID_FIRST):
                self.accepted.add(body[ID_PLACE])
                return ""
            ids = _ids(orjson.loads(body))
            for job_id in ids:
                self.accepted.add(job_id)
        except (ValueError, KeyError, TypeError):
            return f"HTTP {response.status} without ids"
        return "" if len(ids) == job_count else f"HTTP {response.status} with another number of ids"


def _ids(answer: Any) -> list[str]:
    """Return the ids in the answer to a submit or a bulk submit."""
    return [answer["id"]] if "id" in answer else list(answer["ids"])
