"""Open-loop load: a POST every 1/rate seconds, whether or not earlier ones were answered.

`python -m loadtest.open_loop URL`, the body on standard input. Prints `[[job id, sent_at], ...]`; sent_at is wall-clock
time (Unix seconds) just before the request was due to be written. When every connection is busy the request waits for
one and that wait counts: a server that stalls cannot slow its own clock down.
"""

import argparse
import asyncio
import sys
import time

import orjson
import uvloop

from loadtest.client import Client
from loadtest.http1 import Target

CONNECTIONS = 32


async def run(target: Target, request: bytes, rate: float, seconds: float) -> list[tuple[str, float]]:
    """Return (job id, sent_at) for every request. Raises RuntimeError at an answer that is not 2xx."""
    loop = asyncio.get_running_loop()
    idle: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(Client, target.host, target.port)
        idle.put_nowait(client)

    async def submit() -> tuple[str, float]:
        sent_at = time.time()
        client = await idle.get()
        response = await client.ask(request)
        idle.put_nowait(client)
        if not response.ok:
            raise RuntimeError(f"{response.status} {response.body[:300]!r}")
        return orjson.loads(response.body)["id"], sent_at

    begin = loop.time()
    async with asyncio.TaskGroup() as group:
        submits = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(begin + number / rate - loop.time())
            submits.append(group.create_task(submit()))
    while not idle.empty():
        idle.get_nowait().close()
    return [task.result() for task in submits]


def main() -> None:
    """Read the command line and standard input, run, print."""
    parser = argparse.ArgumentParser(description="open-loop POSTs of the body on standard input")
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    told = parser.parse_args()
    target = Target.parse(told.url)
    sent = uvloop.run(run(target, target.post(sys.stdin.buffer.read()), told.rate, told.seconds))
    sys.stdout.buffer.write(orjson.dumps(sent))


if __name__ == "__main__":
    main()
