"""What a handler in a child process gets as its first argument."""

from collections.abc import Callable, Mapping
from typing import Any

from consumer.blocking import BlockingContext
from shared.log import get_log
from shared.models import Claimed


class ChildContext(BlockingContext):
    """See shared.jobs.Context. What it cannot do here it asks the consumer for, with `call(method, *args)`."""

    def __init__(self, job: Claimed, resources: Mapping[str, Any], call: Callable[..., Any]) -> None:
        super().__init__(job.id, job.attempt, get_log(), call, resources)  # the consumer adds the job to every line
        self.call = call
