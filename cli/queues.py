"""`millstream queues list|pause|resume`."""

import argparse
from typing import Any

from cli import remote, show


def add_to(commands: Any) -> None:
    """Add the commands to the parser."""
    group = remote.group(commands, "queues", "queues: list, pause, resume")
    remote.command(group, "list", list_queues, "list queues")
    for name, run, text in (("pause", pause, "let no job of a queue start"), ("resume", resume, "let jobs of a queue start again")):
        remote.command(group, name, run, text).add_argument("name", metavar="NAME")


def list_queues(args: argparse.Namespace) -> int:
    """List queues."""
    return remote.emit(args, remote.client(args).get("/queues"), _table)


def pause(args: argparse.Namespace) -> int:
    """Pause a queue."""
    return _act(args, "pause", "paused")


def resume(args: argparse.Namespace) -> int:
    """Resume a queue."""
    return _act(args, "resume", "resumed")


def _act(args: argparse.Namespace, action: str, word: str) -> int:
    done = remote.client(args).post(remote.path("queues", args.name, action))
    return remote.emit(args, done, lambda _: f"the queue {show.plain(args.name)} is {word}")


def _table(found: dict[str, Any]) -> str:
    """Whatever the API tells of a queue is a column; counts are one, too."""
    names = dict.fromkeys(["name", *(name for queue in found["queues"] for name in queue)])
    rows = [{name: _counted(value) for name, value in queue.items()} for queue in found["queues"]]
    return show.records([*names], rows, empty="(no queues)")


def _counted(value: Any) -> Any:
    return ", ".join(f"{name} {count}" for name, count in value.items()) or None if isinstance(value, dict) else value
