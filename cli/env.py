"""`millstream env`: where the stores of the running stack are, for psql, redis-cli and scripts."""

import argparse
import json
import shlex
from typing import Any

from shared import stack
from shared.errors import UnavailableError
from shared.settings import Settings, load


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("env", help="print DATABASE_URL and REDIS_URL of the running stack")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the URLs; `eval "$(millstream env)"` sets them in a shell."""
    urls = _urls(load())
    print(json.dumps(urls) if args.json else "\n".join(f"{name}={shlex.quote(url)}" for name, url in urls.items()))
    return 0


def _urls(settings: Settings) -> dict[str, str]:
    if facts := stack.running(settings.data_dir):
        return {"DATABASE_URL": facts["database_url"], "REDIS_URL": facts["redis_url"]}
    if settings.database_url and settings.redis_url:
        return {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    raise UnavailableError(
        f"No stack runs on {settings.data_dir.absolute()}.",
        "Start one with `millstream up`, or set MILLSTREAM_DATA_DIR to the folder of the one that you mean.",
    )
