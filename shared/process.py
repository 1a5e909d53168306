"""How a service process begins: settings, logging, the event loop; and how it says why it cannot."""

import gc
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace

import uvloop

from shared import log, probe, stack
from shared.errors import ConfigError, UnavailableError
from shared.settings import Settings, load, strangers, variable

EX_USAGE = 2
EX_UNAVAILABLE = 69


def run_service(name: str, main: Callable[[Settings], Awaitable[None]]) -> None:
    """Run `main(settings)` on uvloop. A bad setting ends the process with exit code 2 and every problem named on stderr."""
    try:
        settings = connected(load())
        log.configure(settings, service=name, pid=os.getpid())
        for stranger in strangers(os.environ):
            log.get_log().warning("unknown_setting", variable=stranger)
        _spare_the_collector()
        probe.arm(os.environ.get("MILLSTREAM_PROBES", ""))
        uvloop.run(_awaited(main, settings))
    except ConfigError as error:
        sys.exit(_say(error.problems, EX_USAGE))
    except UnavailableError as error:
        sys.exit(_say([f"{error}{': ' if error.hint else ''}{error.hint}"], EX_UNAVAILABLE))


def _spare_the_collector() -> None:
    """What is loaded by now stays: the garbage collector need not look at it again, nor after every 700 new objects."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def connected(settings: Settings) -> Settings:
    """Fill in the URLs of the stack that runs in this folder where the environment names none. Raises ConfigError without either."""
    if settings.database_url and settings.redis_url:
        return settings
    running = stack.running(settings.data_dir) or {}
    settings = replace(
        settings,
        database_url=settings.database_url or running.get("database_url", ""),
        redis_url=settings.redis_url or running.get("redis_url", ""),
    )
    missing = [variable(name) for name in ("database_url", "redis_url") if not getattr(settings, name)]
    if missing:
        raise ConfigError([f"{name}: is not set, and no stack runs in {settings.data_dir}; start one with `make run`" for name in missing])
    return settings


async def _awaited(main: Callable[[Settings], Awaitable[None]], settings: Settings) -> None:
    await main(settings)


def _say(sentences: list[str], code: int) -> int:
    for sentence in sentences:
        print(f"millstream: {sentence}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet
    return code
