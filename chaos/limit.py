"""What a process knows of a limit to its memory; `chaos.memory` sets those of consumers."""

import resource
from pathlib import Path

GROUP = "millstream-chaos-"  # how the names of the control groups begin
NO_LIMIT = "there is no limit here: it was lifted, or this process is new"


def has_limit() -> bool:
    """Whether this process may not take as much memory as it likes: a child of a consumer, or a consumer just now."""
    bounded = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    return bounded or GROUP in Path("/proc/self/cgroup").read_text()
