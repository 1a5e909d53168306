"""`millstream schedules list|get|put|delete|trigger|pause|resume`."""

import argparse
from typing import Any

from cli import remote, show
from cli.submit import read_json

COLUMNS = ("name", "when", "timezone", "type", "paused", "next", "last")


def add_to(commands: Any) -> None:
    """Add the commands to the parser."""
    group = remote.group(commands, "schedules", "schedules: list, get, put, delete, trigger, pause, resume")
    remote.command(group, "list", list_schedules, "list schedules")
    for name, run, text in (
        ("get", get, "show a schedule and its next runs"),
        ("put", put, "make a schedule, or replace it"),
        ("delete", delete, "delete a schedule; its jobs stay"),
        ("trigger", trigger, "run it once now"),
        ("pause", pause, "let it make no jobs"),
        ("resume", resume, "let it make jobs again"),
    ):
        parser = remote.command(group, name, run, text)
        parser.add_argument("name", metavar="NAME")
        if run is put:
            parser.add_argument("definition", metavar="JSON", help='{"cron": "0 3 * * *", "type": ...}; @FILE reads a file, - reads stdin')


def list_schedules(args: argparse.Namespace) -> int:
    """List all schedules, in however many pages they come."""
    client = remote.client(args)
    found = client.get("/schedules")
    while cursor := found.get("next_cursor"):
        page = client.get("/schedules", {"cursor": cursor})
        found = page | {"schedules": found["schedules"] + page["schedules"]}
    return remote.emit(args, found, _table)


def get(args: argparse.Namespace) -> int:
    """Show one."""
    return remote.emit(args, remote.client(args).get(remote.path("schedules", args.name)), show.fields)


def put(args: argparse.Namespace) -> int:
    """Make or replace one."""
    done = remote.client(args).call("PUT", remote.path("schedules", args.name), read_json(args.definition).encode()).json
    return remote.emit(args, done, show.fields)


def delete(args: argparse.Namespace) -> int:
    """Delete one."""
    done = remote.client(args).call("DELETE", remote.path("schedules", args.name)).json
    return remote.emit(args, done, lambda _: f"the schedule {show.plain(args.name)} is deleted")


def trigger(args: argparse.Namespace) -> int:
    """Run one now."""
    done = remote.client(args).post(remote.path("schedules", args.name, "trigger"))
    return remote.emit(args, done, lambda job: show.plain(job.get("id") or job.get("job_id") or job))


def pause(args: argparse.Namespace) -> int:
    """Pause one."""
    return _act(args, "pause", "paused")


def resume(args: argparse.Namespace) -> int:
    """Resume one."""
    return _act(args, "resume", "resumed")


def _act(args: argparse.Namespace, action: str, word: str) -> int:
    done = remote.client(args).post(remote.path("schedules", args.name, action))
    return remote.emit(args, done, lambda _: f"the schedule {show.plain(args.name)} is {word}")


def _table(found: dict[str, Any]) -> str:
    return show.records(COLUMNS, map(_row, found["schedules"]), empty="(no schedules)")


def _row(schedule: dict[str, Any]) -> dict[str, Any]:
    when = next((f"{name} {schedule[name]}" for name in ("cron", "every", "at") if schedule.get(name) is not None), None)
    following = schedule.get("next_at") or next(iter(schedule.get("next_runs") or ()), None)
    last = schedule.get("last_run") or {}
    return schedule | {"when": when, "next": following, "last": last.get("status") or last.get("tick")}
