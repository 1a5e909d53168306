"""The one loop helper of all services."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from shared.errors import UnavailableError
from shared.log import get_log

log = get_log()

Step = Callable[[], Awaitable[float | None]]


async def run_every(seconds: float, step: Step, stop: asyncio.Event, *, name: str) -> None:
    """Call `step` again and again until `stop` is set, which ends the pause at once.

    The pause is `seconds`, or what the step returned, give or take a tenth so that many processes do not march in step.
    An error of a step is logged, never the end of the loop; an outage is logged when it begins and when it is over.
    """
    failing = False
    while not stop.is_set():
        pause = seconds
        try:
            wanted = await step()
            pause = seconds if wanted is None else wanted
            if failing:
                log.info("service_recovered", service=name)
            failing = False
        except UnavailableError as error:
            if not failing:
                log.warning("service_interrupted", service=name, error=str(error))
            failing = True
        except Exception:
            log.exception("service_failed", service=name)
        await pause_until(stop, pause * random.uniform(0.9, 1.1))


async def pause_until(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for `seconds` or until `stop` is set; return whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
