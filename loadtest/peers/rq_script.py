"""RQ (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq import Queue, SimpleWorker

from loadtest.peers.kit import Reporter, run_blocking

NOOP = "rq_script.noop"  # RQ imports what it runs by this name

reporters: list[Reporter] = []  # the worker's own


def noop(at: float) -> None:
    """Do nothing."""
    reporters[0].started(at)


class Worker(SimpleWorker):
    """RQ has no hook for the end of a job (a success callback runs before it is written): its own method, wrapped."""

    def execute_job(self, job: Any, queue: Any) -> None:
        """Run one job and write its end."""
        super().execute_job(job, queue)
        reporters[0].settled()


@dataclass
class Client:
    """Queues jobs. `result_ttl=0`: a job that has ended well is deleted."""

    queue: Queue

    def add(self, at: float) -> None:
        """Queue one."""
        self.queue.enqueue_call(NOOP, args=(at,), result_ttl=0)

    def add_many(self, count: int) -> None:
        """Queue `count` in one pipeline."""
        self.queue.enqueue_many([Queue.prepare_data(NOOP, args=(0.0,), result_ttl=0) for _ in range(count)])


def connected_queue() -> Queue:
    """Connect."""
    return Queue("bench", connection=Redis.from_url(os.environ["REDIS_URL"]))


@contextmanager
def client() -> Iterator[Client]:
    """Connect, and disconnect at the end."""
    queue = connected_queue()
    yield Client(queue)
    queue.connection.close()


def work() -> None:
    """Run a worker for ever."""
    reporters.append(Reporter())
    queue = connected_queue()
    Worker([queue], connection=queue.connection, log_job_description=False).work(logging_level="WARNING")


if __name__ == "__main__":
    import rq_script  # the module that the worker finds `noop` in, not a second copy of it

    run_blocking(rq_script.client, rq_script.work, threads=4)
