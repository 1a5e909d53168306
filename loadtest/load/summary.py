"""A run in a few lines for a terminal."""

from collections.abc import Mapping
from typing import Any

NARROW = 0.9  # of a core: beyond it the generator may be what was measured
SHOWN = ("p50", "p90", "p99", "p99.9", "max")


def summary(found: Mapping[str, Any]) -> str:
    """Return what --json has, in words."""
    lines = [
        ("", _headline(found)),
        *_latencies(found),
        ("errors", _errors(found)),
        *_lost(found),
        *_check(found),
        ("generator", _generator(found)),
    ]
    return "\n".join(f"{name:<12} {text}" if name else text for name, text in lines if text)


def milliseconds(value: float) -> str:
    """Return a duration in ms with three digits."""
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def what_was_asked(found: Mapping[str, Any]) -> str:
    """Return the kind of load in a few words."""
    settings = found["settings"]
    bulk = f" in bulk requests of {settings['bulk']:,}" if settings["bulk"] > 1 else ""
    fresh = "" if settings["keep_alive"] else ", a connection for each request"
    if found["loop"] == "closed":
        return f"closed loop, {settings['jobs_at_a_time']:,} jobs at a time{bulk} over {settings['connections']:,} connections{fresh}"
    return f"open loop, {settings['rate']:,g} jobs a second{bulk} over at most {settings['connections']:,} connections{fresh}"


def _headline(found: Mapping[str, Any]) -> str:
    accepted = found["accepted"]
    speed = f"{accepted['jobs']:,} jobs in {accepted['seconds']:.1f} s: {accepted['per_second']:,.0f} a second"
    return f"{what_was_asked(found)}\naccepted     {speed}"


def _latencies(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    per = "a request" if found["settings"]["bulk"] > 1 else "a job"
    if found["loop"] == "open":
        return [
            ("latency", f"{_spread(found['latency_ms'])}  {per}, from the moment it was due"),
            ("service", f"{_spread(found['service_ms'])}  from the moment it was sent"),
        ]
    lines = [("service", f"{_spread(found['latency_ms'])}  {per}, from the moment it was sent")]
    if found["corrected_ms"]:
        interval = milliseconds(found["corrected_ms"]["expected_interval"])
        lines.append(("corrected", f"{_spread(found['corrected_ms'])}  as if each connection had wanted to send every {interval} (p50)"))
    return lines


def _spread(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {milliseconds(values[name])}" for name in SHOWN)


def _errors(found: Mapping[str, Any]) -> str:
    if not found["errors"]:
        return "none"
    return "; ".join(f"{count:,} x {kind} ({_one_line(found['error_examples'].get(kind, ''))})" for kind, count in found["errors"].items())


def _lost(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    unknown, dropped, late = found["unknown_outcome_requests"], found["sent"]["never_sent_jobs"], found["sent"]["late_requests"]
    return [
        ("unknown", f"{unknown:,} requests without an answer: nobody knows whether their jobs were stored" if unknown else ""),
        ("never sent", f"{dropped:,} jobs were due while every connection was busy: the rate was not kept" if dropped else ""),
        ("late", f"{late:,} requests went out more than 10 ms after they were due" if late and found["loop"] == "open" else ""),
    ]


def _check(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    check = found["check"]
    if check is None:
        return [("check", "none: --no-wait" if found["settings"]["wait_seconds"] is None else "none")]
    lines = [("check", _verdict(check)), *(("", f"             {example}") for example in check["examples"])]
    if check["drain_seconds"] is not None:
        rate = f"; {check['completed_per_second']:,.0f} completed a second, from the first commit to the last end"
        lines.append(("drained", f"{check['drain_seconds']:.2f} s after the last job was accepted{rate}"))
        lines.append(("end to end", f"{_spread(check['end_to_end_ms'])}  from the commit of a job to its end"))
    return lines


def _verdict(check: Mapping[str, Any]) -> str:
    if check["ok"]:
        return f"all {check['accepted']:,} accepted jobs are COMPLETED"
    found = ", ".join(f"{count:,} {status}" for status, count in check["statuses"].items()) or "nothing was seen"
    twice = f"; {check['duplicate_ids']:,} ids were given out twice" if check["duplicate_ids"] else ""
    why = f" ({check['problem']})" if check["problem"] else ""
    return f"NOT all of {check['accepted']:,} accepted jobs are COMPLETED: {found}{twice}{why}"


def _generator(found: Mapping[str, Any]) -> str:
    generator = found["generator"]
    narrow = " - it was the bottleneck: use several at a time, or --bulk" if generator["core_share"] > NARROW else ""
    return (
        f"{generator['core_share']:.0%} of a core, {generator['cpu_us_per_request']:.0f} us of CPU a request, "
        f"{generator['peak_rss_mb']:.0f} MB at most{narrow}"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160]
