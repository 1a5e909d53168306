"""A run as plain values: what --json writes and what the texts and charts are made from."""

import resource
import sys
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from loadtest.load.check import Verdict
from loadtest.load.histogram import Histogram
from loadtest.load.meter import UNKNOWN_OUTCOMES
from loadtest.load.series import Second
from loadtest.load.session import Outcome
from loadtest.machine import describe

PERCENTS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
HAPPENING = ("sent_per_second", "accepted_per_second", "completed_per_second", "failed_requests", "backlog")
CURVE = (*range(0, 90, 5), *(100 - 10 / 10 ** (step / 8) for step in range(33)))  # 0 to 99.999 %, evenly on the axis of the chart


def result(outcome: Outcome) -> dict[str, Any]:
    """Return everything about a run. Durations are in the unit that their name ends with."""
    meter, options = outcome.meter, outcome.options
    closed = options.rate is None
    interval = meter.service.percentile(50)
    corrected = meter.latency.corrected(interval) if closed and interval else None
    return {
        "command": options.command,
        "url": f"http://{options.target.host}:{options.target.port}{options.target.path}",
        "loop": "closed" if closed else "open",
        "began_at": datetime.fromtimestamp(outcome.began_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "settings": _settings(outcome),
        "accepted": {"jobs": outcome.accepted, "per_second": outcome.rate, "seconds": outcome.seconds, "trial_jobs": outcome.trial_jobs},
        "sent": {
            "jobs": meter.sent_jobs,
            "requests": meter.sent_requests,
            "late_requests": meter.late_requests,
            "never_sent_jobs": meter.dropped_jobs,
        },
        "latency_ms": _milliseconds(meter.latency),
        "service_ms": _milliseconds(meter.service),
        "corrected_ms": None if corrected is None else _milliseconds(corrected) | {"expected_interval": interval * 1000},
        "curve": _curve(meter.latency, corrected),
        "errors": dict(meter.errors.most_common()),
        "error_examples": meter.examples,
        "unknown_outcome_requests": sum(meter.errors[kind] for kind in UNKNOWN_OUTCOMES),
        "check": None if outcome.verdict is None else _checked(outcome.verdict),
        "interrupted": outcome.interrupted,
        "generator": _generator(outcome),
        "series": _series(outcome),
        "machine": describe(),
    }


def exit_code(found: dict[str, Any]) -> int:
    """Return 0 only when nothing failed: no request, and no accepted job."""
    if found["interrupted"]:
        return 130
    check = found["check"]
    failed = found["errors"] or found["sent"]["never_sent_jobs"] or not found["accepted"]["jobs"] or (check and not check["ok"])
    return 1 if failed else 0


def _settings(outcome: Outcome) -> dict[str, Any]:
    options = outcome.options
    return {
        "types": dict(options.mix),
        "payload_bytes": {kind: len(payload) for kind, payload in options.payloads.items()},
        "rate": options.rate,
        "jobs_at_a_time": options.connections if options.rate is None else None,
        "connections": options.connections if options.rate is not None else max(options.connections // options.bulk, 1),
        "bulk": options.bulk,
        "seconds": None if options.seconds == float("inf") else options.seconds,
        "count": options.count,
        "queue": options.queue or None,
        "priority": options.priority or None,
        "keep_alive": options.keep_alive,
        "timeout_seconds": options.timeout,
        "wait_seconds": options.wait_seconds if options.wait else None,
    }


def _milliseconds(histogram: Histogram) -> dict[str, float]:
    values = zip(PERCENTS, histogram.percentiles(PERCENTS), strict=True)
    found = {f"p{percent:g}": seconds * 1000 for percent, seconds in values}
    return {"count": histogram.count, "mean": histogram.mean * 1000} | found | {"max": histogram.longest * 1000}


def _curve(latency: Histogram, corrected: Histogram | None) -> list[dict[str, float | None]]:
    """Latency by percentile, in ms; no further out than there are values for."""
    percents = tuple(percent for percent in CURVE if latency.count * (100 - percent) >= 100)
    fixed = corrected.percentiles(percents) if corrected else (None for _ in percents)
    return [
        {"percent": percent, "ms": seconds * 1000, "corrected_ms": None if other is None else other * 1000}
        for percent, seconds, other in zip(percents, latency.percentiles(percents), fixed, strict=True)
    ]


def _checked(verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": verdict.ok,
        "accepted": verdict.accepted,
        "statuses": verdict.statuses,
        "duplicate_ids": verdict.duplicate_ids,
        "examples": verdict.examples,
        "problem": verdict.problem or None,
        "drain_seconds": verdict.drain_seconds,
        "completed_per_second": verdict.completed_rate,
        "wait_ms": _milliseconds(verdict.waited),
        "end_to_end_ms": _milliseconds(verdict.whole),
        "pages": verdict.pages,
        "verify_seconds": verdict.verify_seconds,
    }


def _generator(outcome: Outcome) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "cpu_seconds": outcome.cpu_seconds,
        "core_share": outcome.cpu_seconds / outcome.sending_seconds if outcome.sending_seconds else 0.0,
        "cpu_us_per_request": outcome.cpu_seconds / max(outcome.meter.sent_requests, 1) * 1e6,
        "peak_rss_mb": peak / (1e6 if sys.platform == "darwin" else 1e3 / 1.024),
    }


def _series(outcome: Outcome) -> list[dict[str, float | None]]:
    """One entry a second, until nothing happens any more."""
    samples = outcome.series.seconds
    completed = _completed(outcome, [second.at for second in samples])
    seconds = [_second(second, count) for second, count in zip(samples, completed, strict=True)]
    while len(seconds) > 1 and not any(seconds[-1][name] or seconds[-2][name] for name in HAPPENING):
        seconds.pop()  # while all jobs are read nothing happens; one such second shows that it was over
    return seconds


def _second(second: Second, completed: int | None) -> dict[str, float | None]:
    return {
        "at": round(second.at, 3),
        "span": round(second.span, 3),
        "sent_per_second": second.sent / second.span,
        "accepted_per_second": second.accepted / second.span,
        "completed_per_second": None if completed is None else completed / second.span,
        "failed_requests": second.failed,
        "p50_ms": second.p50 * 1000 if second.accepted else None,
        "p99_ms": second.p99 * 1000 if second.accepted else None,
        "backlog": second.backlog,
    }


def _completed(outcome: Outcome, ends: Sequence[float]) -> Sequence[int | None]:
    """Return the jobs completed in each sample. PostgreSQL's clock has told when; it is set to ours by the trial job."""
    verdict = outcome.verdict
    if verdict is None or verdict.first_created is None:
        return [None] * len(ends)
    ahead = verdict.first_created.timestamp() - outcome.tried_at
    counts = [0] * len(ends)
    for tenth, count in verdict.finished_by_tenth.items():
        at = (tenth + 0.5) / 10 - ahead - outcome.began_at
        counts[min(bisect_left(ends, at), len(ends) - 1)] += count
    return counts
