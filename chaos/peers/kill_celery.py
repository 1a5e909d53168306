"""Celery on Redis with its defaults (see chaos/peers/__init__.py), run in its own environment: ours is not there.

CELERY_LATE=1: with acks_late and reject_on_worker_lost, which its documentation recommends where a job must not be lost.
"""

import os
import sys
import time

from celery import Celery

app = Celery("kill", broker=os.environ["REDIS_URL"])
if os.environ.get("CELERY_LATE"):
    app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)


def note(line: str) -> None:
    """Add a line to the record."""
    with open(os.environ["CHAOS_RECORD"], "a", encoding="ascii") as record:  # noqa: PTH123
        record.write(line + "\n")


@app.task(name="task")
def task(number: int) -> None:
    """Take two seconds."""
    note(f"start {number}")
    time.sleep(2)
    note(f"end {number}")


if sys.argv[1] == "work":
    app.worker_main(["worker", "--concurrency", "10", "--loglevel", "WARNING", "--hostname", f"kill{os.getpid()}@%h"])
else:
    for number in range(int(sys.argv[2])):
        task.delay(number)
