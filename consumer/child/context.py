"""What a handler in a child process gets as its first argument."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.log import get_log
from shared.models import Claimed


class ChildContext:
    """See shared.jobs.Context. What it cannot do here it asks the consumer for, with `call(method, *args)`."""

    def __init__(self, job: Claimed, resources: Mapping[str, Any], call: Callable[..., Any]) -> None:
        self.job_id = job.id
        self.attempt = job.attempt
        self.log: Any = get_log()  # the consumer adds the job to every line
        self.cancelled = False
        self.resources = resources
        self.call = call
