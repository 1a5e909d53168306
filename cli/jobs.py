"""`millstream get`, `list`, `retry`, `cancel`, `why`: one job, or those that a filter finds."""

import argparse
from typing import Any

from cli import remote, show

COLUMNS = ("id", "type", "status", "queue", "priority", "attempts", "created_at", "error")
FILTERS = {
    "status": "states, with commas between them",
    "type": "job type",
    "queue": "queue",
    "priority": "high, normal or low",
    "tag": "a tag that it has",
    "q": "text in type, error or payload",
    "created_after": "made from then on: 2026-01-31T12:00:00Z",
    "created_before": "made before then",
}


def add_to(commands: Any) -> None:
    """Add the commands to the parser."""
    for name, run, text in (
        ("get", get, "show a job"),
        ("why", why, "say why a job is not running"),
        ("retry", retry, "run a FAILED or CANCELLED job again"),
        ("cancel", cancel, "cancel a job, or ask the worker that runs it to stop"),
    ):
        remote.command(commands, name, run, text).add_argument("id", metavar="ID")
    parser = remote.command(commands, "list", list_jobs, "list jobs, newest first")
    add_filters(parser, FILTERS)
    add_page(parser)


def add_filters(parser: argparse.ArgumentParser, filters: dict[str, str]) -> None:
    """Add an option for each filter."""
    for name, text in filters.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="X", help=text)


def add_page(parser: argparse.ArgumentParser) -> None:
    """Add the options of lists that come in pages."""
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many, up to 1000 (default 20)")
    parser.add_argument("--cursor", metavar="X", help="go on where an earlier list ended")


def get(args: argparse.Namespace) -> int:
    """Show one job."""
    return remote.emit(args, remote.client(args).get(remote.path("jobs", args.id)), show.fields)


def why(args: argparse.Namespace) -> int:
    """Say what a job waits for."""
    return remote.emit(args, remote.client(args).get(remote.path("jobs", args.id, "why")), lambda found: show.plain(found["why"]))


def retry(args: argparse.Namespace) -> int:
    """Run a job again."""
    return remote.emit(args, remote.client(args).post(remote.path("jobs", args.id, "retry")), _moved)


def cancel(args: argparse.Namespace) -> int:
    """Stop a job."""
    return remote.emit(args, remote.client(args).post(remote.path("jobs", args.id, "cancel")), _moved)


def list_jobs(args: argparse.Namespace) -> int:
    """List jobs."""
    query = {name: getattr(args, name) for name in (*FILTERS, "limit", "cursor")}
    return remote.emit(args, remote.client(args).get("/jobs", query), page)


def page(found: dict[str, Any]) -> str:
    """Put a page of jobs into words."""
    text = show.records(COLUMNS, found["jobs"], empty="(none so far)" if found["partial"] else "(no jobs)")
    return f"{text}\nmore: --cursor {found['next_cursor']}" if found["next_cursor"] else text


def _moved(job: dict[str, Any]) -> str:
    asked = "; its worker has been asked to stop" if job["cancel_requested"] and job["status"] == "PROCESSING" else ""
    return f"{job['id']} is {job['status']}{asked}"
