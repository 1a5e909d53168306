"""Every Redis key, from the base name of the stream. Name the base `{jobs_stream}` on Redis Cluster, so that all share a slot.

A lane is where a job queues up: its queue and its priority, one stream each. It is written `high`, `normal`, `low` for the queue
`default` and `emails:high` for any other, in Redis, in SQL (function `lane`) and here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

PRIORITIES = ("high", "normal", "low")
DEFAULT_QUEUE = "default"


def lane_name(queue: str, priority: str) -> str:
    """Name the lane of a queue and a priority."""
    return priority if queue == DEFAULT_QUEUE else f"{queue}:{priority}"


def split_lane(lane: str) -> tuple[str, str]:
    """Return the queue and the priority of a lane."""
    queue, _, priority = lane.rpartition(":")
    return queue or DEFAULT_QUEUE, priority


def queue_of(lane: str) -> str:
    """Return the queue of a lane."""
    return split_lane(lane)[0]


def lanes_of(queues: Iterable[str]) -> tuple[str, ...]:
    """Return the lanes of these queues, most urgent first within each."""
    return tuple(lane_name(queue, priority) for queue in queues for priority in PRIORITIES)


@dataclass(frozen=True)
class Keys:
    """The keys that belong to one base name."""

    base: str

    def stream(self, lane: str) -> str:
        """Return the stream of job ids to run in that lane."""
        queue, priority = split_lane(lane)
        base = self.base if queue == DEFAULT_QUEUE else f"{self.base}:queue:{queue}"
        return base if priority == "normal" else f"{base}:{priority}"

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of the default queue, most urgent first."""
        return tuple(self.stream(priority) for priority in PRIORITIES)

    @property
    def delayed(self) -> str:
        """ZSET: job id (with `:` and its lane behind it when that is not `normal`) scored by its due time in Unix seconds."""
        return f"{self.base}:delayed"

    @property
    def dlq(self) -> str:
        """Stream of dead-lettered jobs."""
        return f"{self.base}:dlq"

    @property
    def epoch(self) -> str:
        """String: proves that Redis still holds what we put there."""
        return f"{self.base}:epoch"

    @property
    def clock(self) -> str:
        """String: seconds by which Redis's clock was ahead of PostgreSQL's when the ZSET was filled, and in which life of the server."""
        return f"{self.base}:clock"

    @property
    def events(self) -> str:
        """Channel of publish/subscribe: batches of jobs and the states that they came into."""
        return f"{self.base}:events"

    def all(self, queues: Iterable[str] = ()) -> tuple[str, ...]:
        """Return every key, with the streams of `queues` beside the default one, for tools that clean up."""
        return (*self.streams, *map(self.stream, lanes_of(queues)), self.delayed, self.dlq, self.epoch, self.clock)


def member(job_id: str, lane: str) -> str:
    """Name a job in the ZSET, which must also say the lane that it goes to."""
    return job_id if lane == "normal" else f"{job_id}:{lane}"
