"""`docs/lifecycle.md`: the state machine as people read it, out of the table that the code and its tests are bound to."""

from collections.abc import Iterable
from itertools import product

from cli.documents.markdown import notice, table
from shared.lifecycle import MOVES, TERMINAL, Move, Status

PATH = "docs/lifecycle.md"

INTRODUCTION = f"""\
A job is a row in PostgreSQL, and its `status` is one of {len(Status)} words; {len(MOVES)} events, called moves, can change
it, and nothing else does. The table below is `MOVES` in `shared/lifecycle.py`. `shared/sql/jobs.sql` makes the moves, one named query each,
and `tests/integration/test_matrix.py` tries every query on every status under every fence, on a real database, and proves
that it makes these moves and no other."""

STATES: dict[Status, str] = {
    Status.SCHEDULED: "waits for its time: a delay, a `run_at`, or a handler that asked to be run later",
    Status.PENDING: "may run now",
    Status.PROCESSING: "a worker holds it under a lease",
    Status.RETRYING: "failed, and waits for its next attempt",
    Status.COMPLETED: "done; the result is kept",
    Status.FAILED: "given up and dead-lettered: it is in the dead-letter queue, from where it can be replayed",
    Status.CANCELLED: "will not run: somebody cancelled it, or its start deadline passed",
}

ENDS = """\
Nothing happens by itself to a job in a terminal state any more. All but completed ones can be replayed."""

FENCED = """\
Every claim raises the job's `attempts` by one and writes the claiming worker's lease beside it. That pair, the attempt and the
lease, is the fence. A fenced move names both, and PostgreSQL makes it only where the row still holds exactly these. So a worker
that was paused, cut off or taken for dead, and whose job has a newer owner by now, cannot complete, fail or retry that job: its
statement changes nothing, and it learns so from the ids that come back. `attempts` is never reset, not even by a replay, so no
fence is ever valid twice.

Moves that are not fenced are for jobs that nobody runs. The exception is `reclaim`, which takes a job from a worker whose lease
is dead; whatever that worker still sends comes too late."""


def text() -> str:
    """Return the whole document."""
    return "\n\n".join(
        [
            "# The life of a job",
            notice("shared/lifecycle.py"),
            INTRODUCTION,
            "## States",
            table(("state", "meaning", "terminal"), (_state_row(status) for status in Status)),
            ENDS,
            "## Moves",
            table(("event", "from", "to", "fenced", "notes"), (_move_row(move) for move in MOVES.values())),
            "## What fenced means",
            FENCED,
            "## Picture",
            _diagram(),
        ]
    )


def _state_row(status: Status) -> tuple[str, ...]:
    return f"`{status}`", STATES[status], _yes(status in TERMINAL)


def _move_row(move: Move) -> tuple[str, ...]:
    return f"`{move.event}`", _states(move.sources), _states(move.targets), _yes(move.fenced), move.note


def _diagram() -> str:
    arrows = [f"    [*] --> {status} : submit" for status in (Status.PENDING, Status.SCHEDULED)]
    arrows += [f"    {source} --> {target} : {label}" for (source, target), label in _arrows().items()]
    arrows += [f"    {status} --> [*]" for status in _ordered(TERMINAL)]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```"])


def _arrows() -> dict[tuple[Status, Status], str]:
    """One arrow for each pair of states, with all the events that lead that way."""
    labels: dict[tuple[Status, Status], list[str]] = {}
    for move in MOVES.values():
        for pair in product(_ordered(move.sources), _ordered(move.targets)):
            labels.setdefault(pair, []).append(move.event)
    return {pair: ", ".join(events) for pair, events in labels.items()}


def _states(states: Iterable[Status]) -> str:
    return " or ".join(f"`{status}`" for status in _ordered(states))


def _ordered(states: Iterable[Status]) -> list[Status]:
    """Sets have no order of their own: that of the enum, so that the document is the same every time."""
    wanted = set(states)
    return [status for status in Status if status in wanted]


def _yes(value: bool) -> str:
    return "yes" if value else ""
