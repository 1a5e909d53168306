"""The floor of a submit: the same INSERT into the same table, in batches of the same size, one after the other on one connection.

`python -m loadtest.floors.insert --count 50000 --batch 27`, on an empty, migrated database.
"""

import argparse
import os

import msgspec
import uvloop

from loadtest.floors.result import Result
from shared.database import DURABLE, connect
from shared.ids import new_id
from shared.models import NewJob
from shared.queries import load

BATCH = 27  # jobs that a commit of one producer gathers under 64 connections, by `make profile`
PAYLOAD = msgspec.Raw(b'{"to":"user@example.com","n":1}')


def rows(batch: int) -> bytes:
    """Return the argument of the query `submit`, as millstream gives it."""
    return msgspec.json.encode([NewJob(id=new_id(), type="test.noop", payload=PAYLOAD) for _ in range(batch)])


async def insert(url: str, count: int, batch: int) -> Result:
    """Insert at least `count` rows, each batch committed before the next begins."""
    query = load("jobs")["submit"]
    batches = [rows(batch) for _ in range(-(-count // batch))]
    connection = await connect(url, 30.0, DURABLE)
    result = Result()
    for argument in batches:
        await connection.fetch(query, argument)
        result.done(batch)
    await connection.close()
    return result


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description="bare batch INSERT")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=BATCH)
    told = parser.parse_args()
    uvloop.run(insert(os.environ["DATABASE_URL"], told.count, told.batch)).print()


if __name__ == "__main__":
    main()
