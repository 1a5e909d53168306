"""Mistakes of the services that put things right."""

import asyncio
from typing import Any

from chaos.checks import due, jobs, processes, speed, stores
from chaos.mutants.mistakes.mistake import change_query, change_script, mistake, put
from consumer.clock_watch import ClockWatch
from consumer.delayer import Delayer
from consumer.janitor import Janitor
from consumer.reaper import Reaper
from consumer.reconciler import Reconciler
from shared.broker import Broker

LATE_SECONDS = 4.0


@mistake(jobs.nothing_is_lost)
def no_reconciler() -> None:
    """Nobody makes Redis agree with PostgreSQL again."""

    async def idle(_: Any) -> None:
        return None

    put(Reconciler, "step", idle)


@mistake(jobs.nothing_is_lost)
def no_reaper() -> None:
    """Nobody takes over from the dead."""

    async def idle(_: Any) -> None:
        return None

    put(Reaper, "step", idle)


@mistake(speed.ghosts_go)
def cursor_begins_anew() -> None:
    """XAUTOCLAIM at 0-0 each time: it looks at the first thousand entries only."""
    take_over = Broker.take_over

    async def forgetful(self: Any, lane: str, idle_seconds: float, cursor: str) -> Any:
        del cursor
        return await take_over(self, lane, idle_seconds, "0-0")

    put(Broker, "take_over", forgetful)


@mistake(stores.nothing_is_left)
def consumer_dropped_with_pending() -> None:
    """DELCONSUMER takes its pending list with it."""
    change_script("drop_consumer", "if #pending > 0 then", "if false then")


@mistake(processes.errors_are_foreseen)
def a_service_stumbles() -> None:
    """The janitor fails each time, and is started again."""

    async def stumbles(_: Any) -> None:
        raise RuntimeError("the janitor stumbles")

    put(Janitor, "step", stumbles)


@mistake(speed.crashes_are_short)
def leases_end_late() -> None:
    """A dead worker is noticed some seconds after its lease."""
    change_query("declare_dead", "secs => seconds)", f"secs => seconds + {LATE_SECONDS})")


@mistake(stores.nothing_is_left)
def no_look_at_the_clock() -> None:
    """What went by Redis's clock is not put right when that was set."""

    async def never(self: Any) -> bool:
        del self
        return False

    put(ClockWatch, "was_set", never)


@mistake(due.retries_come, due.nothing_is_tardy)
def retries_are_late() -> None:
    """What waits for its time is looked at every few seconds."""
    step = Delayer.step

    async def slow(self: Any) -> float:
        await asyncio.sleep(LATE_SECONDS)
        return await step(self)

    put(Delayer, "step", slow)


@mistake(speed.ghosts_go, stores.no_ghosts_are_left)
def ghosts_stay() -> None:
    """Nobody takes dead consumers out of the group."""

    async def idle(_: Any) -> None:
        return None

    put(Reaper, "_drop_ghosts", idle)
