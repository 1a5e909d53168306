"""Celery (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from celery.signals import task_postrun

from loadtest.peers.kit import Reporter, run_blocking

WORKER = ["worker", "--pool", "solo", "--prefetch-multiplier", "64", "--loglevel", "WARNING"]
ALONE = ["--without-gossip", "--without-mingle", "--without-heartbeat"]

app = Celery("bench", broker=os.environ["REDIS_URL"])
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_disable_rate_limits=True)
reporters: list[Reporter] = []  # the worker's own


@app.task(name="noop")
def noop(at: float) -> None:
    """Do nothing."""
    reporters[0].started(at)


class Client:
    """Queues jobs, through a producer of Celery's pool."""

    def add(self, at: float) -> None:
        """Queue one."""
        noop.apply_async((at,))

    def add_many(self, count: int) -> None:
        """Queue `count`; a group of Celery's queues one by one as well."""
        for _ in range(count):
            self.add(0.0)


@contextmanager
def client() -> Iterator[Client]:
    """Celery connects when it is first called."""
    yield Client()
    app.close()


def work() -> None:
    """Run a worker for ever."""
    reporter = Reporter()
    reporters.append(reporter)
    # No result is kept. What is left to write after this signal is the acknowledgement, for which Celery has no hook.
    task_postrun.connect(lambda **_: reporter.settled(), weak=False)
    app.worker_main([*WORKER, *ALONE, "--hostname", f"bench{os.getpid()}@%h"])


if __name__ == "__main__":
    run_blocking(client, work, bulk_jobs=50)
