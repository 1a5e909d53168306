"""Every Redis key, from the base name of the stream. Name the base `{jobs_stream}` on Redis Cluster, so that all share a slot."""

from dataclasses import dataclass

PRIORITIES = ("high", "normal", "low")


@dataclass(frozen=True)
class Keys:
    """The keys that belong to one base name."""

    base: str

    def stream(self, priority: str) -> str:
        """Return the stream of job ids to run at that priority."""
        return self.base if priority == "normal" else f"{self.base}:{priority}"

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams, most urgent first."""
        return tuple(self.stream(priority) for priority in PRIORITIES)

    @property
    def delayed(self) -> str:
        """ZSET: job id (with `:high` or `:low` behind it when not normal) scored by its due time in Unix seconds."""
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
    def events(self) -> str:
        """Channel of publish/subscribe: batches of jobs and the states that they came into."""
        return f"{self.base}:events"

    def all(self) -> tuple[str, ...]:
        """Return every key, for tools that clean up."""
        return (*self.streams, self.delayed, self.dlq, self.epoch)


def member(job_id: str, priority: str) -> str:
    """Name a job in the ZSET, which must also say the stream that it goes to."""
    return job_id if priority == "normal" else f"{job_id}:{priority}"
