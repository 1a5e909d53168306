"""Dramatiq (see loadtest/peers/__init__.py), run in its own environment: ours is not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.worker import Worker

from loadtest.peers.kit import Reporter, run_blocking

THREADS = 16
PREFETCH = 100

broker = RedisBroker(url=os.environ["REDIS_URL"])
dramatiq.set_broker(broker)
reporters: list[Reporter] = []  # the worker's own


class Settled(dramatiq.Middleware):
    """Reports that a job has left Redis."""

    def after_ack(self, _broker: Any, _message: Any) -> None:
        """Called when the acknowledgement is written."""
        reporters[0].settled()


@dramatiq.actor(actor_name="noop")
def noop(at: float) -> None:
    """Do nothing."""
    reporters[0].started(at)


class Client:
    """Queues jobs."""

    def add(self, at: float) -> None:
        """Queue one."""
        noop.send(at)

    def add_many(self, count: int) -> None:
        """Queue `count`; a group of Dramatiq's queues one by one as well."""
        for _ in range(count):
            noop.send(0.0)


@contextmanager
def client() -> Iterator[Client]:
    """Dramatiq connects when it is first called."""
    yield Client()
    broker.client.close()


def work() -> None:
    """Run for ever what `dramatiq --processes 1` runs in its only worker process."""
    reporters.append(Reporter())
    broker.add_middleware(Settled())
    broker.emit_after("process_boot")
    worker = Worker(broker, worker_threads=THREADS)
    worker.queue_prefetch = PREFETCH  # what the environment variable dramatiq_queue_prefetch sets
    worker.start()
    Event().wait()


if __name__ == "__main__":
    run_blocking(client, work, threads=4, bulk_jobs=50)
