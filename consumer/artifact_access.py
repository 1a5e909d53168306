"""Where handlers find the artifacts, whichever way they run."""

from shared.artifacts import Artifacts
from shared.jobs import Context


def artifacts_of(ctx: Context) -> Artifacts:
    """Return the worker's, or new ones made from the settings where there are none, as may be in a child process."""
    shared: Artifacts | None = ctx.resources.get("artifacts")
    return shared or Artifacts(ctx.resources["settings"])
