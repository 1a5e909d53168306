"""`millstream up`: the whole service on one machine, with its own servers unless the environment names others."""

import argparse
import os
import sys
from dataclasses import replace
from typing import Any

from cli import preflight
from cli.local_stack import LocalStack
from cli.signals import Signals
from shared import log, stack
from shared.artifact_store import ArtifactStore
from shared.settings import Settings, load, variable


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("up", help="start everything on this machine; Ctrl-C stops it")
    parser.add_argument("--consumers", type=_count, default=1, metavar="N", help="consumer processes (default 1)")
    parser.add_argument("--producers", type=_count, default=1, metavar="N", help="producer processes (default 1)")
    parser.add_argument("--reload", action="store_true", help="restart consumers when a file of MILLSTREAM_HANDLERS changes")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, start, supervise and stop; returns when everything has ended."""
    settings = _settings()
    settings = replace(settings, reload=settings.reload or args.reload)
    log.configure(settings)
    data_dir = settings.data_dir.absolute()
    preflight.check_folder(data_dir, "data", "data_dir")
    preflight.check_folder(settings.output_dir.absolute(), "output", "output_dir")
    if folder := ArtifactStore(settings).folder:
        preflight.check_folder(folder.absolute(), "artifacts", "artifacts_url")
    with stack.hold(data_dir), Signals() as signals:
        preflight.check_port(settings)
        return LocalStack(settings, signals).run(consumers=args.consumers, producers=args.producers)


def _settings() -> Settings:
    if sys.stdout.isatty():  # for us and, through the environment, for the children
        os.environ.setdefault(variable("log_format"), "console")
    return load()


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError("must be from 1 to 100")
    return number
