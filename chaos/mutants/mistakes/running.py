"""Mistakes of who runs a job, and since when."""

from chaos.mutants.mistakes.mistake import change_query, mistake, put
from consumer.heartbeat import Heartbeat


@mistake(6, 7)
def a_claim_of_what_runs() -> None:
    """A claim does not ask for the state."""
    change_query("claim", "status IN ('PENDING', 'SCHEDULED', 'RETRYING') AND run_at", "finished_at IS NULL AND run_at")


@mistake(3, 4, 5)
def no_fence() -> None:
    """A settle asks for nothing but the id."""
    change_query(
        "succeed", "status = 'PROCESSING' AND attempts = won.attempt AND lease_id = $3", "(attempts >= won.attempt OR lease_id = $3)"
    )


@mistake(3, 7)
def who_wakes_up_goes_on() -> None:
    """A worker that was frozen begins what it had claimed before."""
    put(Heartbeat, "holds", lambda self, lease: bool(self and lease))
