"""The sampler finds a process where it is, and says what is in its way."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtest.errors import MeasureError
from loadtest.processes import Children
from loadtest.profile.folded import parse
from loadtest.profile.sampler import Sampler
from tests.support.eventually import eventually_sync

# Some 10 us of Python, then a call into the kernel that takes a fortieth of that: where a sampler that pauses the process would find it.
BURN = """
import os
def work():
    for number in range(300): number + number
def call(): os.getpid()
while True:
    work()
    call()
"""


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    with Children(tmp_path / "logs", tmp_path) as children:
        yield children


def test_samples_are_of_what_takes_the_time(children: Children, tmp_path: Path) -> None:
    """Not of the next call into the kernel."""
    burning = children.start("burn", [sys.executable, "-c", BURN], os.environ)
    sampler = Sampler(children, tmp_path / "logs", tmp_path / "burn.folded", rate=200)
    try:
        sampler.start(burning.pid or 0)
    except MeasureError as error:
        pytest.skip(str(error).splitlines()[0])
    used = psutil.Process(burning.pid).cpu_times
    enough = used().user + used().system + 0.8
    eventually_sync(lambda: used().user + used().system > enough, within=30)
    stacks = list(parse(sampler.stop().read_text().splitlines()))
    found = {name: sum(stack.samples for stack in stacks if stack.frames[-1].function == name) for name in ("work", "call")}
    assert found["work"] > 20
    assert found["work"] > 2 * found["call"]


def test_a_process_that_cannot_be_read_is_an_error_that_says_what_to_do(children: Children, tmp_path: Path) -> None:
    """Nobody has to look for py-spy's log first."""
    gone = children.start("gone", [sys.executable, "-c", ""], os.environ)
    assert gone.wait(10)
    with pytest.raises(MeasureError, match=r"ptrace_scope|py-spy is missing"):
        Sampler(children, tmp_path / "logs", tmp_path / "gone.folded", rate=100).start(gone.pid or 0)
