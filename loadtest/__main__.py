"""`make loadtest`, `python -m loadtest`: put load on a running millstream, and check what became of the jobs. See docs/loadtest.md."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import uvloop

from loadtest.load.api import AwayError, RefusedError
from loadtest.load.engine import TooFewFilesError
from loadtest.load.options import Options, parse
from loadtest.load.page import page
from loadtest.load.progress import progress_stream, shown_on
from loadtest.load.result import exit_code, result
from loadtest.load.session import Outcome, Session
from loadtest.load.summary import summary

EX_UNAVAILABLE = 69  # sysexits.h
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a load test and return its exit code: see the end of --help."""
    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        outcome = uvloop.run(_run(options))
    except ValueError as error:
        return _failed(2, error)
    except TooFewFilesError as error:
        return _failed(2, error)
    except AwayError as error:
        return _failed(EX_UNAVAILABLE, error)
    except RefusedError as error:
        return _failed(1, error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    return _told(options, result(outcome))


async def _run(options: Options) -> Outcome:
    return await Session(options, shown_on(progress_stream(options.json))).run()


def _told(options: Options, found: dict[str, Any]) -> int:
    """Say and write what was found; return the exit code."""
    print(summary(found), file=progress_stream(options.json))
    if options.report is not None:
        options.report.write_text(page(found), encoding="utf-8")
        print(f"report       {options.report.resolve().as_uri()}", file=progress_stream(options.json))
    if options.json == "-":
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    elif options.json:
        Path(options.json).write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return exit_code(found)


def _failed(code: int, error: Exception) -> int:
    print(f"loadtest: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
