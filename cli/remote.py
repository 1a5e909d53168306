"""What commands that talk to the API have in common: where it is, the key, and --json."""

import argparse
import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from cli.client import Client
from shared.errors import ConfigError

Run = Callable[[argparse.Namespace], int]


def command(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a command with the options of all of them; return its parser for its own."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    group = parser.add_argument_group("the API")
    group.add_argument("--url", help="where it is (MILLSTREAM_URL; default http://127.0.0.1:3000, or the port of MILLSTREAM_PORT)")
    group.add_argument("--api-key", metavar="KEY", help="a key, where keys are needed (MILLSTREAM_API_KEY)")
    parser.add_argument("--json", action="store_true", help="print what the API answers, as JSON")
    parser.set_defaults(run=run)
    return parser


def group(commands: Any, name: str, text: str) -> Any:
    """Add a command that has commands of its own; return where they are added."""
    parser = commands.add_parser(name, help=text, description=text)
    return parser.add_subparsers(metavar="COMMAND", required=True)


def client(args: argparse.Namespace) -> Client:
    """Return a client of the API that arguments or environment name."""
    return Client(args.url or os.environ.get("MILLSTREAM_URL") or _local(), args.api_key or os.environ.get("MILLSTREAM_API_KEY") or "")


def path(*parts: str) -> str:
    """Return the path of these parts, whatever is in them."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def emit(args: argparse.Namespace, value: Any, human: Callable[[Any], str]) -> int:
    """Print an answer for a program (--json) or as `human` puts it. Returns 0."""
    print(json.dumps(value, indent=2, ensure_ascii=False) if args.json else human(value))
    return 0


def _local() -> str:
    port = os.environ.get("MILLSTREAM_PORT", "").strip() or "3000"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigError([f"MILLSTREAM_PORT={port!r}: must be from 1 to 65535"])
    return f"http://127.0.0.1:{port}"
