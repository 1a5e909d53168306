"""`millstream doctor`: look at everything that millstream depends on, and say what to do."""

import argparse
import asyncio
import json
from collections.abc import Iterator
from typing import Any

from cli import checks, remote, show
from cli.checks import Finding
from shared.diagnosis import ask_postgres, ask_redis
from shared.errors import ConfigError, UnavailableError
from shared.process import connected
from shared.settings import Settings, load


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    remote.command(commands, "doctor", run, "check this machine, the stores, the API and the workers")


def run(args: argparse.Namespace) -> int:
    """Print a line for each finding; 1 if one of them is a failure."""
    findings = list(_findings(args))
    if args.json:
        print(json.dumps([finding._asdict() for finding in findings], indent=2, ensure_ascii=False))
    else:
        print("\n".join(map(_line, findings)))
    return int(any(finding.state == "fail" for finding in findings))


def _findings(args: argparse.Namespace) -> Iterator[Finding]:
    yield from checks.python()
    try:
        settings = load()
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("fail", "setting", problem, "docs/configuration.md says what it may be.")
    else:
        yield from checks.unknown_settings()
        yield from checks.wheels(settings)
        yield from checks.folders(settings)
        yield from _stores(settings)
    yield from checks.api(remote.client(args))


def _stores(settings: Settings) -> Iterator[Finding]:
    try:
        settings = connected(settings)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("fail", "setting", problem)
        return
    try:
        facts = asyncio.run(ask_postgres(settings.database_url))
    except UnavailableError as error:
        yield Finding("fail", "PostgreSQL", f"{checks.place(settings.database_url)}: {error}", "Is it running, and is DATABASE_URL right?")
    else:
        yield from checks.postgres(settings.database_url, facts)
        yield from checks.workers(facts)
    try:
        yield from checks.redis(settings.redis_url, asyncio.run(ask_redis(settings.redis_url)))
    except UnavailableError as error:
        yield Finding("fail", "Redis", f"{checks.place(settings.redis_url)}: {error}", "Is it running, and is REDIS_URL right?")


def _line(finding: Finding) -> str:
    line = f"{finding.state:<4}  {finding.what:<14}  {show.plain(finding.text)}"
    return f"{line}\n{' ' * 22}-> {finding.remedy}" if finding.remedy else line
