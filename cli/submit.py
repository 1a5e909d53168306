"""`millstream submit TYPE JSON`: submit a job, and wait for its end if asked to."""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from cli import remote, show
from cli.client import Client
from shared.errors import ConfigError, UnavailableError
from shared.lifecycle import TERMINAL

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
LONGEST_WAIT = 60  # what the API waits in one request
PATIENCE_SECONDS = 30.0  # with an API that is away while we wait

OPTIONS: dict[str, tuple[Any, str]] = {
    "queue": (str, "queue (default: default)"),
    "priority": (str, "high, normal (default) or low"),
    "delay": (float, "run it in so many seconds"),
    "run_at": (str, "run it then: 2026-01-31T12:00:00Z"),
    "max_attempts": (int, "how many attempts at most, the first included"),
    "timeout": (float, "seconds that an attempt may take"),
    "expires_in": (float, "cancel it unless it has been started within so many seconds"),
    "webhook_url": (str, "tell this URL when it has ended"),
}


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = remote.command(commands, "submit", run, "submit a job")
    parser.add_argument("type", metavar="TYPE", help="a job type; `millstream types` lists them")
    parser.add_argument(
        "payload", metavar="JSON", nargs="?", default="{}", help="the payload; @FILE reads a file, - reads stdin (default {})"
    )
    wait_help = "wait for its end, at most so long, and fail if it fails"
    parser.add_argument("--wait", metavar="SECONDS", nargs="?", type=_seconds, const=math.inf, help=wait_help)
    for name, (kind, text) in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="X", help=text)
    parser.add_argument("--key", metavar="KEY", help="idempotency key: the same job under the same key is submitted once")
    parser.add_argument("--tag", action="append", metavar="TAG", help="a tag; may be given several times")
    parser.add_argument("--backoff", metavar="JSON", help='pauses between attempts: {"kind": "fixed", "base": 5}')


def run(args: argparse.Namespace) -> int:
    """Submit; with --wait return 0 only if the job was completed."""
    client = remote.client(args)
    receipt = client.call("POST", "/jobs", _body(args)).json
    if args.wait is None:
        return remote.emit(args, receipt, lambda job: str(job["id"]))
    job = wait_for(client, receipt["id"], args.wait)
    remote.emit(args, job, show.fields)
    if job["status"] not in TERMINAL:
        print(f"millstream: it is still {job['status']} after {args.wait:g} s, and goes on: millstream get {job['id']}", file=sys.stderr)
    return 0 if job["status"] == "COMPLETED" else 1


def wait_for(client: Client, job_id: str, seconds: float) -> dict[str, Any]:
    """Return the job as it is at its end, or after so many seconds if that is earlier."""
    deadline = time.monotonic() + seconds
    heard_at, pause = time.monotonic(), FIRST_PAUSE
    while True:
        left = deadline - time.monotonic()
        try:
            job, waited = _look(client, job_id, left)
        except UnavailableError:
            if time.monotonic() > min(deadline, heard_at + PATIENCE_SECONDS):
                raise
        else:
            heard_at = time.monotonic()
            if job["status"] in TERMINAL or heard_at >= deadline:
                return job
            if waited:
                continue
        time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _look(client: Client, job_id: str, left: float) -> tuple[dict[str, Any], bool]:
    """Return the job, and whether the API has waited for its end on our behalf."""
    wait = max(0, math.ceil(min(left, LONGEST_WAIT)))
    answer = client.call("GET", remote.path("jobs", job_id), headers={"Prefer": f"wait={wait}"}, timeout=wait + 30)
    return answer.json, any(name.lower() == "preference-applied" for name in answer.headers)


def read_json(text: str) -> str:
    """Return the JSON that an argument gives or names, as it was written. Raises ConfigError when it is none."""
    source = {"-": "stdin"}.get(text, text[1:] if text.startswith("@") else "the argument")
    try:
        raw = _read(text)
        json.loads(raw)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{source} cannot be read: {getattr(error, 'strerror', None) or error}"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{source} is no JSON: {error}"]) from error
    return raw


def _read(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    return Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text


def _body(args: argparse.Namespace) -> bytes:
    """The payload goes in as it was written: a number with many digits must not pass through a float."""
    given = {name: getattr(args, name) for name in OPTIONS} | {"idempotency_key": args.key, "tags": args.tag}
    others = {"type": args.type} | {name: value for name, value in given.items() if value is not None}
    raw = {"payload": read_json(args.payload)} | ({"backoff": read_json(args.backoff)} if args.backoff else {})
    members = [f"{json.dumps(name)}: {text}" for name, text in ({name: json.dumps(value) for name, value in others.items()} | raw).items()]
    try:
        return f"{{{', '.join(members)}}}".encode()
    except UnicodeEncodeError as error:
        raise ConfigError(["the arguments are not UTF-8"]) from error


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds >= 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return seconds
