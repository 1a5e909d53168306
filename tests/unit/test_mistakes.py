"""The mistakes of `make chaos-mutants` can still be made: what they change is still there. Whether they are caught takes an hour to see."""

import subprocess
import sys

import pytest

from chaos.checks import INVARIANTS
from chaos.mutants.mistakes import MISTAKES
from chaos.mutants.plans import plan_for

MAKE = """
import os
from chaos.mutants.mistakes import MISTAKES
from shared.broker import Broker
from shared.keys import Keys

for name, mistake in MISTAKES.items():
    if not os.fork():  # a mistake changes classes for good
        print(name, flush=True)
        mistake.make()
        Broker("redis://127.0.0.1:1", Keys("jobs_stream"), "workers")  # where the Lua scripts are changed
        os._exit(0)
    if os.wait()[1]:
        print(name, "CANNOT BE MADE", flush=True)
"""


def test_each_can_be_made() -> None:
    """Each in a process of its own."""
    made = subprocess.run([sys.executable, "-c", MAKE], capture_output=True, text=True, check=False, timeout=120)
    assert made.stdout.split("\n") == [*MISTAKES, ""], made.stderr


@pytest.mark.parametrize("name", MISTAKES)
def test_it_says_what_it_does_and_who_has_to_find_it(name: str) -> None:
    """Both go into the table."""
    assert MISTAKES[name].does.endswith(".")
    assert MISTAKES[name].found_by


def test_every_invariant_has_a_mistake_that_it_must_find() -> None:
    """Each sentence, not each number: two sentences of one number are two checks."""
    assert {name for mistake in MISTAKES.values() for name in mistake.found_by} == {known.name for known in INVARIANTS}


def test_the_sound_segment_differs_by_the_mistake_alone() -> None:
    """Whatever it finds beyond that would not be due to the mistake."""
    wrong, sound = plan_for("no-fence")
    assert (wrong.seed, wrong.faults, wrong.seconds, wrong.settings) == (sound.seed, sound.faults, sound.seconds, sound.settings)
    assert (wrong.shape.mistake, sound.shape.mistake) == ("no-fence", "")
