"""Counters for Prometheus. Increased once a batch where a batch is at hand."""

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST

submitted = Counter("millstream_jobs_submitted", "Jobs committed by this producer")
submit_batches = Histogram("millstream_submit_batch_jobs", "Jobs a commit", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000))
scheduled = Counter("millstream_jobs_scheduled", "Jobs that this consumer made of schedules")
requests = Counter("millstream_http_requests", "Answers by status", ["status"])
settled = Counter("millstream_jobs_settled", "Attempts settled by this consumer", ["outcome"])
fenced = Counter("millstream_settles_refused", "Attempts whose outcome was refused because the lease was lost")
abandoned = Counter("millstream_handlers_abandoned", "Handlers that ran on after they had been told to stop")
killed = Counter("millstream_handlers_killed", "Child processes killed because their handlers ran on after they had been told to stop")
added_again = Counter("millstream_jobs_added_again", "Entries that Redis had lost")
reclaimed = Counter("millstream_jobs_reclaimed", "Jobs taken from dead workers")


_answers: dict[int, Counter] = {}


def count_answer(status: int) -> None:
    """Count one HTTP answer. Looking a label up costs more than counting, so it is done once a status."""
    if status not in _answers:
        _answers[status] = requests.labels(status)
    _answers[status].inc()


def text() -> bytes:
    """Return all of them in Prometheus' text format."""
    return generate_latest()
