"""`make loadtest`, `python -m loadtest`: POST jobs to a running millstream as fast as it takes them, and say how fast.

The default type `test.noop` exists where MILLSTREAM_TEST_TYPES=1.
"""

import argparse
import sys
from collections.abc import Sequence
from time import perf_counter

import uvloop

from loadtest.closed_loop import Tally, run
from loadtest.http1 import Target

NOOP = '{"type":"test.noop","payload":{}}'


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, 1 when an answer was not 2xx, 69 when nobody listens."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    parser.add_argument("url", nargs="?", type=Target.parse, default="http://127.0.0.1:3000/jobs")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--body", default=NOOP, help=f"of every request (default {NOOP})")
    told = parser.parse_args(argv)
    begin = perf_counter()
    tally = Tally(begin=begin, until=begin + told.seconds)
    try:
        uvloop.run(run(told.url, told.url.post(told.body.encode()), told.connections, tally))
    except OSError as error:
        print(f"nobody answers at {told.url.host}:{told.url.port}: {error}", file=sys.stderr)
        return 69
    print(_sentence(tally))
    return 1 if tally.bad_count else 0


def _sentence(tally: Tally) -> str:
    result = tally.result()
    speed = f"{result['count']:,} accepted, {result['rate']:,.0f} a second"
    latency = f"p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms"
    bad = f"\n{tally.bad_count:,} not accepted; the first: {tally.bad_example}" if tally.bad_count else ""
    return f"{speed}; {latency}{bad}"


if __name__ == "__main__":
    sys.exit(main())
