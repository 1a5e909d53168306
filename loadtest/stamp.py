"""The job type `bench.stamp` (MILLSTREAM_HANDLERS=loadtest.stamp): its result says when its handler began."""

import time
from typing import Any

from shared.jobs import Context, job


@job("bench.stamp")
async def stamp(_ctx: Context, _payload: dict[str, Any]) -> dict[str, float]:
    """Return Unix seconds."""
    return {"handler_at": time.time()}
