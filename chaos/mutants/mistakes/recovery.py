"""Mistakes of the services that put things right."""

from typing import Any

from chaos.mutants.mistakes.mistake import change_query, change_script, mistake, put
from consumer.clock_watch import ClockWatch
from consumer.reaper import Reaper
from consumer.reconciler import Reconciler
from shared.broker import Broker

LATE_SECONDS = 4.0


@mistake(1, 10)
def no_reconciler() -> None:
    """Nobody makes Redis agree with PostgreSQL again."""

    async def idle(_: Any) -> None:
        return None

    put(Reconciler, "step", idle)


@mistake(1, 13)
def no_reaper() -> None:
    """Nobody takes over from the dead."""

    async def idle(_: Any) -> None:
        return None

    put(Reaper, "step", idle)


@mistake(13)
def cursor_begins_anew() -> None:
    """XAUTOCLAIM at 0-0 each time: it looks at the first thousand entries only."""
    take_over = Broker.take_over

    async def forgetful(self: Any, lane: str, idle_seconds: float, cursor: str) -> Any:
        del cursor
        return await take_over(self, lane, idle_seconds, "0-0")

    put(Broker, "take_over", forgetful)


@mistake(10, 13)
def consumer_dropped_with_pending() -> None:
    """DELCONSUMER takes its pending list with it."""
    change_script("drop_consumer", "if #pending > 0 then", "if false then")


@mistake(13)
def leases_end_late() -> None:
    """A dead worker is noticed some seconds after its lease."""
    change_query("declare_dead", "secs => seconds)", f"secs => seconds + {LATE_SECONDS})")


@mistake(10)
def no_look_at_the_clock() -> None:
    """What went by Redis's clock is not put right when that was set."""

    async def never(self: Any) -> bool:
        del self
        return False

    put(ClockWatch, "was_set", never)
