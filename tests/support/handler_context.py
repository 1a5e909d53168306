"""Run a handler as a worker would, without one: the payload is JSON, the function is the registered one."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from shared.jobs import registered
from shared.log import get_log


@dataclass
class HandlerContext:
    """A context that a test may shape; the real thing for a handler."""

    job_id: str = field(default_factory=lambda: str(uuid4()))
    attempt: int = 1
    log: Any = field(default_factory=get_log)
    cancelled: bool = False
    resources: Mapping[str, Any] = field(default_factory=dict)
    checkpoint_data: Any = None
    reports: list[tuple[float, str]] = field(default_factory=list)

    async def checkpoint(self, data: Any) -> None:
        """Keep it here."""
        self.checkpoint_data = data

    def progress(self, percent: float, message: str = "") -> None:
        """Keep it here."""
        self.reports.append((percent, message))

    def once(self, key: str, fn: Any, *, uncertain: Any = None, released_by: Any = ()) -> Any:
        """Run it: this is the first and only attempt."""
        del key, uncertain, released_by
        return fn()


async def run_handler(name: str, payload: Any, context: HandlerContext) -> Any:
    """Decode `payload` (what a client would send, or its JSON in bytes) and run the handler of that type to its end."""
    handler = registered()[name]
    decoded = handler.decode(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    if handler.executor != "async":
        return await asyncio.to_thread(handler.function, context, decoded)
    return await cast("Any", handler.function(context, decoded))
