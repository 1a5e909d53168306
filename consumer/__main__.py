"""`python -m consumer [--only ROLE,...]`: run jobs, and the services that keep the promise. `--check`: is one alive on this host.

`--types`: which job types it would run.
"""

import argparse
import sys

from consumer import registry
from consumer.check import check
from consumer.runtime import ROLES, serve
from consumer.types_command import print_types
from shared.process import run_service
from shared.settings import Settings


def main() -> None:
    """Start a consumer process."""
    parser = argparse.ArgumentParser(prog="python -m consumer", description=__doc__)
    parser.add_argument("--only", metavar="ROLE,...", default=",".join(ROLES), help=f"run only these roles: {', '.join(ROLES)}")
    parser.add_argument("--check", action="store_true", help="run nothing; exit 0 if a consumer on this host holds a live lease")
    parser.add_argument("--types", action="store_true", help="run nothing; import the handlers, print the job types, exit")
    args = parser.parse_args()
    if args.check:
        sys.exit(check())
    if args.types:
        sys.exit(print_types())
    roles = tuple(dict.fromkeys(filter(None, args.only.split(","))))
    if unknown := [role for role in roles if role not in ROLES] or not roles:
        parser.error(f"unknown role {unknown}; choose from {', '.join(ROLES)}")

    async def start(settings: Settings) -> None:
        await serve(settings, registry.load(settings), roles)

    run_service("consumer", start)


if __name__ == "__main__":
    main()
