"""`millstream dlq list|replay|purge`: the dead-letter queue."""

import argparse
from typing import Any

from cli import jobs, remote, show
from shared.errors import ConfigError

PATIENCE_SECONDS = 120.0  # ten thousand letters take a second, or many when Redis has just lost its DLQ stream
COLUMNS = ("id", "type", "queue", "reason", "attempts", "finished_at", "error")
FILTERS = {
    "type": "job type",
    "queue": "queue",
    "priority": "high, normal or low",
    "tag": "a tag that it has",
    "reason": "why it died: attempts_spent, timeout, crashed, ...",
    "dead_after": "died from then on: 2026-01-31T12:00:00Z",
    "dead_before": "died before then",
}


def add_to(commands: Any) -> None:
    """Add the commands to the parser."""
    group = remote.group(commands, "dlq", "the dead-letter queue: list, replay, purge")
    parser = remote.command(group, "list", list_dead, "list dead jobs, newest first")
    jobs.add_filters(parser, FILTERS)
    jobs.add_page(parser)
    for name, run, text in (("replay", replay, "run dead jobs again, the oldest first"), ("purge", purge, "delete dead jobs for good")):
        parser = remote.command(group, name, run, text)
        jobs.add_filters(parser, FILTERS)
        parser.add_argument("ids", metavar="ID", nargs="*", help="only these jobs")
        parser.add_argument("--limit", type=int, metavar="N", help="at most so many, up to 10,000 (default 1000)")
        parser.add_argument("--dry-run", action="store_true", help="change nothing; say which ones it would be")
        parser.add_argument("--all", action="store_true", help="whatever they are; needed when nothing else chooses")


def list_dead(args: argparse.Namespace) -> int:
    """List dead jobs."""
    query = {name: getattr(args, name) for name in (*FILTERS, "limit", "cursor")}
    return remote.emit(args, remote.client(args).get("/jobs/dead", query), _page)


def replay(args: argparse.Namespace) -> int:
    """Run dead jobs again."""
    return remote.emit(args, remote.client(args).post("/dlq/replay", _body(args), PATIENCE_SECONDS), lambda done: _told(done, "replayed"))


def purge(args: argparse.Namespace) -> int:
    """Delete dead jobs."""
    return remote.emit(args, remote.client(args).post("/dlq/purge", _body(args), PATIENCE_SECONDS), lambda done: _told(done, "purged"))


def _body(args: argparse.Namespace) -> dict[str, Any]:
    chosen = {name: getattr(args, name) for name in (*FILTERS, "ids") if getattr(args, name)}
    if not chosen and not args.all:
        raise ConfigError(["name jobs, or choose them with a filter, or say --all"])
    return chosen | {name: getattr(args, name) for name in ("limit", "dry_run") if getattr(args, name) is not None}


def _page(found: dict[str, Any]) -> str:
    text = show.records(COLUMNS, found["jobs"], empty="(none so far)" if found["partial"] else "(no dead jobs)")
    return f"{text}\nmore: --cursor {found['next_cursor']}" if found["next_cursor"] else text


def _told(done: dict[str, Any], word: str) -> str:
    more = "; there are more" if done["more"] else ""
    if done["dry_run"]:
        return "\n".join([*done["ids"], f"{done['matched']} would be {word}{more}"])
    return f"{done[word]} of {done['matched']} {word}{more}"
