"""A database as it looks after a month: rows made by SQL alone (rows.sql), as many as wanted, in shares that a busy service might have.

Submitting and running ten million jobs takes ten minutes; inserting them as finished ones takes two. Everything that hangs on a job is
made with it: letters, attempts, runs of schedules, counts. Ids sort by age, as those of producers do.
"""

from importlib.resources import files

from loadtest.growth.curve import Say
from loadtest.stack import Stack

STEP = 500_000  # rows in one statement
SPAN_SECONDS = 29 * 86_400.0  # younger than the retention: nothing is swept away while we look
TRIGGERS_OFF = "SET session_replication_role = replica"  # counts come at the end, in one go


def fill(stack: Stack, rows: int, say: Say) -> None:
    """Insert the rows; afterwards PostgreSQL knows about them what autovacuum would have found out."""
    jobs, *others = (files("loadtest.growth") / "rows.sql").read_text(encoding="utf-8").split(";\n\n")
    for first in range(1, rows + 1, STEP):
        last = min(first + STEP - 1, rows)
        stack.database.fetch_after(TRIGGERS_OFF, jobs, first, last, SPAN_SECONDS, rows)
        say(f"{last:,} rows")
    for statement in others:
        stack.database.fetch_after(TRIGGERS_OFF, statement)
    stack.database.fetch("VACUUM (ANALYZE)")
    stack.settle()
