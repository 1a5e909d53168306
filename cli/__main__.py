"""The `millstream` command. A file for a command or a few alike; each has `add_to(commands)`, which sets `run(args) -> exit code`.

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 69 something that we depend on is unavailable, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence

from cli import dlq, docs, doctor, env, jobs, migrate, overview, queues, schedules, submit, top, up
from shared.errors import ConfigError, MillstreamError, UnavailableError

COMMANDS = (up, env, migrate, submit, jobs, overview, top, dlq, queues, schedules, doctor, docs)
EX_UNAVAILABLE = 69  # sysexits.h


def main() -> None:
    """Run the command that the arguments name."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Run it and return the exit code. What is raised on purpose becomes a sentence and a hint, never a traceback."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except ConfigError as error:
        return _failed(2, *error.problems)
    except UnavailableError as error:
        return _failed(EX_UNAVAILABLE, str(error), error.hint)
    except MillstreamError as error:
        return _failed(1, str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="millstream", description="A durable background-job service.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return parser


def _failed(code: int, *sentences: str) -> int:
    first, *others = [sentence for sentence in sentences if sentence]
    print(f"millstream: {first}", file=sys.stderr)
    for sentence in others:
        print(f"  {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
