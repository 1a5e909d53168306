"""`python -m consumer --types`: whether the handlers can be imported, and what they declare. Needs no server."""

import sys

from consumer import registry
from shared.errors import ConfigError
from shared.process import EX_USAGE
from shared.settings import load


def print_types() -> int:
    """Print one type a line; return the exit code: 0, or 2 with every problem named."""
    try:
        types = registry.load(load()).types()
    except ConfigError as error:
        print(*(f"millstream: {problem}" for problem in error.problems), sep="\n", file=sys.stderr)  # noqa: T201 - that is the command
        return EX_USAGE
    print(*types, sep="\n")  # noqa: T201
    return 0
