"""Counters for Prometheus. Increased once a batch where a batch is at hand."""

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST

submitted = Counter("millstream_jobs_submitted", "Jobs committed by this producer")
submit_batches = Histogram("millstream_submit_batch_jobs", "Jobs a commit", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000))
scheduled = Counter("millstream_jobs_scheduled", "Jobs that this consumer made of schedules")
settled = Counter("millstream_jobs_settled", "Attempts settled by this consumer", ["outcome"])
fenced = Counter("millstream_settles_refused", "Attempts whose outcome was refused because the lease was lost")
abandoned = Counter("millstream_handlers_abandoned", "Handlers that ran on after they had been told to stop")
killed = Counter("millstream_handlers_killed", "Child processes killed because their handlers ran on after they had been told to stop")
added_again = Counter("millstream_jobs_added_again", "Entries that Redis had lost")
reclaimed = Counter("millstream_jobs_reclaimed", "Jobs taken from dead workers")


answers: defaultdict[int, int] = defaultdict(int)  # HTTP answers by status; plain numbers, because there is one for every request


class _Answers(Collector):
    """Shows `answers`."""

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("millstream_http_requests", "Answers by status", labels=["status"])
        for status, count in answers.items():
            family.add_metric([str(status)], count)
        yield family


REGISTRY.register(_Answers())


def text() -> bytes:
    """Return all of them in Prometheus' text format."""
    return generate_latest()
