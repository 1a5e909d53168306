"""What README.md and CHANGELOG.md count and list is what the code has."""

import re

import pytest

from chaos.faults import FAULTS
from chaos.mutants.mistakes import MISTAKES
from cli.docs import ROOT
from consumer.runtime import ROLES

ONES = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBERS = [f"{ten}-{one}".strip("-") for ten in TENS for one in ONES]  # from twenty on


def test_the_roles_are_all_that_there_are() -> None:
    """Who splits a consumer as the README says leaves no role out, and names none that there is not."""
    named = re.findall(r"--only ([a-z,]+)`", (ROOT / "README.md").read_text())
    assert len(named) == 2
    assert sorted(",".join(named).split(",")) == sorted(ROLES)


@pytest.mark.parametrize(
    ("name", "sentence", "count"),
    [
        ("README.md", r"with ([a-z-]+) kinds of faults", len(FAULTS)),
        ("CHANGELOG.md", r"`make chaos`: ([a-z-]+) kinds of faults", len(FAULTS)),
        ("CHANGELOG.md", r"makes the service wrong in ([a-z-]+) ways", len(MISTAKES)),
    ],
)
def test_the_faults_and_the_mistakes_are_counted(name: str, sentence: str, count: int) -> None:
    """A kind of fault, or a mistake, that comes or goes changes the number that a reader is told."""
    assert re.findall(sentence, (ROOT / name).read_text()) == [NUMBERS[count - 20]]
