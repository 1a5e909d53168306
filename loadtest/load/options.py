"""The command line of the load test."""

import argparse
import math
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.http1 import Target
from loadtest.load.payloads import is_type, mixed, payloads

NOOP = "test.noop"
DEFAULT_JOBS = 1000  # at a time
DEFAULT_SECONDS = 10.0
MOST_BULK = 10_000
MOST_CONNECTIONS = 20_000
MOST_PAYLOAD_BYTES = 1_000_000  # the API takes 1 MiB a job, all in all

DESCRIPTION = "Put load on a running millstream, say how it did, and check that every accepted job is COMPLETED."
EPILOG = "Exit codes: 0 every accepted job is COMPLETED and no request failed, 1 not so, 2 usage, 69 nobody answers, 130 interrupted."


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to do. Bytes of `payloads` are JSON objects."""

    target: Target
    api_key: str = ""
    rate: float | None = None  # jobs a second; None: closed loop
    connections: int = DEFAULT_JOBS  # in a closed loop also the requests in flight
    bulk: int = 1  # jobs a request
    seconds: float = DEFAULT_SECONDS  # inf: until `count`
    count: int | None = None  # jobs
    mix: Mapping[str, int]  # type -> weight
    payloads: Mapping[str, bytes]
    queue: str = ""
    priority: str = ""
    keep_alive: bool = True
    timeout: float = 30.0
    wait: bool = True
    wait_seconds: float = 300.0
    json: str = ""  # a file, or - for standard output
    report: Path | None = None
    command: str = "python -m loadtest"


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Read the command line; exit 2 with a sentence when it is bad."""
    parser = _parser()
    told = parser.parse_args(argv)
    try:
        return _options(told, environment, argv)
    except ValueError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=DESCRIPTION, epilog=EPILOG)
    for title, add in {"where": _add_target, "how much": _add_load, "which jobs": _add_jobs, "afterwards": _add_afterwards}.items():
        add(parser.add_argument_group(title))
    return parser


def _add_target(group: Any) -> None:
    url = "base URL of the API (MILLSTREAM_URL; default http://127.0.0.1:3000, or the port of MILLSTREAM_PORT)"
    group.add_argument("url", nargs="?", help=url)
    group.add_argument("--api-key", metavar="KEY", help="where keys are needed (MILLSTREAM_API_KEY)")


def _add_load(group: Any) -> None:
    jobs = "jobs in flight in a closed loop, N / BULK connections (default 1000); with --rate: so many connections at most"
    group.add_argument("--connections", "--concurrency", type=_whole(MOST_CONNECTIONS), metavar="N", help=jobs)
    group.add_argument("--rate", type=_positive, metavar="R", help="open loop: R jobs a second, whether or not earlier ones were answered")
    group.add_argument("--duration", "--seconds", type=_positive, metavar="SECONDS", help="send for so long (default 10, or until --count)")
    group.add_argument("--count", type=_whole(10**9), metavar="JOBS", help="send so many jobs")
    group.add_argument("--bulk", type=_whole(MOST_BULK), default=1, metavar="B", help="B jobs a request, by POST /jobs/bulk")
    group.add_argument("--no-keep-alive", action="store_true", help="a connection of its own for each request")
    group.add_argument("--timeout", type=_positive, default=30.0, metavar="SECONDS", help="give up on an answer after so long (default 30)")


def _add_jobs(group: Any) -> None:
    what = group.add_mutually_exclusive_group()
    what.add_argument("--type", metavar="TYPE", help=f"type of the jobs (default {NOOP}, which exists where MILLSTREAM_TEST_TYPES=1)")
    what.add_argument("--mix", type=_mixed, metavar="TYPE=W,...", help='several types by weight, such as "test.noop=8,csv.generate=2"')
    payload = "payload of the jobs (of that type); default {}"
    group.add_argument("--payload", action="append", default=[], metavar="[TYPE=]JSON", help=payload)
    padded = 'pad payloads to N bytes with a field "padding" of text that does not compress'
    group.add_argument("--payload-bytes", type=_whole(MOST_PAYLOAD_BYTES), metavar="N", help=padded)
    group.add_argument("--queue", default="", metavar="NAME")
    group.add_argument("--priority", default="", choices=("high", "normal", "low"))


def _add_afterwards(group: Any) -> None:
    group.add_argument("--no-wait", action="store_true", help="do not wait for the jobs and do not check them")
    wait = "wait so long for the jobs to end (default 300)"
    group.add_argument("--wait-seconds", type=_positive, default=300.0, metavar="SECONDS", help=wait)
    to = "write the result as JSON; - or nothing: to standard output"
    group.add_argument("--json", nargs="?", const="-", default="", metavar="FILE", help=to)
    group.add_argument("--report", type=Path, metavar="FILE.html", help="write a report with charts that opens offline")


def _options(told: argparse.Namespace, environment: Mapping[str, str], argv: Sequence[str]) -> Options:
    mix = told.mix or {told.type or NOOP: 1}
    if not all(map(is_type, mix)):
        raise ValueError(f"--type {told.type!r}: a type has no blank, comma or equals sign")
    for file in (told.report, Path(told.json) if told.json not in {"", "-"} else None):
        if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK)):
            raise ValueError(f"{file} cannot be written")  # said now, not after the run
    key = told.api_key or environment.get("MILLSTREAM_API_KEY") or ""
    if not (key.isascii() and (key.isprintable())):
        raise ValueError("an API key has visible ASCII characters only")
    seconds = told.duration or (math.inf if told.count else DEFAULT_SECONDS)
    return Options(
        target=_target(told.url or environment.get("MILLSTREAM_URL") or _local(environment)),
        api_key=key,
        rate=told.rate,
        connections=told.connections or DEFAULT_JOBS,
        bulk=told.bulk,
        seconds=seconds,
        count=told.count,
        mix=mix,
        payloads=payloads(told.payload, tuple(mix), told.payload_bytes),
        queue=told.queue,
        priority=told.priority,
        keep_alive=not told.no_keep_alive,
        timeout=told.timeout,
        wait=not told.no_wait,
        wait_seconds=told.wait_seconds,
        json=told.json,
        report=told.report,
        command=_shown("python -m loadtest", argv),
    )


def _target(url: str) -> Target:
    target = Target.parse(url.rstrip("/"))
    path = target.path.rstrip("/").removesuffix("/jobs")
    return Target(target.host, target.port, path)


def _local(environment: Mapping[str, str]) -> str:
    return f"http://127.0.0.1:{environment.get('MILLSTREAM_PORT', '').strip() or 3000}"


def _mixed(text: str) -> dict[str, int]:
    try:
        return mixed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number above 0")
    return value


def _whole(most: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        digits = text.replace("_", "").replace(",", "")
        if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) <= most):
            raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number from 1 to {most}")
        return int(digits)

    return whole


def _shown(program: str, argv: Sequence[str]) -> str:
    """Return the command as it was given, but for the key."""
    words = list(argv)
    for at, word in enumerate(words):
        if word == "--api-key" and at + 1 < len(words):
            words[at + 1] = "..."
        elif word.startswith("--api-key="):
            words[at] = "--api-key=..."
    return shlex.join([*program.split(), *words])
