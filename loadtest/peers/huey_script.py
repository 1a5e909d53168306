"""Huey (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from huey import RedisHuey
from huey.signals import SIGNAL_COMPLETE

from loadtest.peers.kit import Reporter, run_blocking

THREADS = 8

huey = RedisHuey("bench", url=os.environ["REDIS_URL"], results=False)
reporters: list[Reporter] = []  # the worker's own


@huey.task(name="noop")
def noop(at: float) -> None:
    """Do nothing."""
    reporters[0].started(at)


class Client:
    """Queues jobs."""

    def add(self, at: float) -> None:
        """Queue one."""
        noop(at)

    def add_many(self, count: int) -> None:
        """Queue `count`; Huey has no call for many."""
        for _ in range(count):
            noop(0.0)


@contextmanager
def client() -> Iterator[Client]:
    """Huey connects when it is first called."""
    yield Client()
    huey.storage.conn.close()


def work() -> None:
    """Run a worker for ever."""
    reporter = Reporter()
    reporters.append(reporter)
    # A job leaves Redis when it is taken. This signal comes after the last thing that Huey writes for it (a flag that it deletes).
    huey.signal(SIGNAL_COMPLETE)(lambda _signal, _task: reporter.settled())
    huey.create_consumer(workers=THREADS, worker_type="thread", periodic=False).run()


if __name__ == "__main__":
    run_blocking(client, work, threads=4, bulk_jobs=50)
