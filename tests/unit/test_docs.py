"""The generated documents: up to date here, complete, and told apart when they are not."""

from pathlib import Path

import pytest

from cli import docs
from cli.documents.lifecycle import STATES
from cli.documents.variables import variables
from shared.lifecycle import MOVES, TERMINAL, Status
from shared.settings import Settings, load, variable


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a source tree whose documents have just been written."""
    (tmp_path / "pyproject.toml").touch()
    assert docs.write(tmp_path) == 0
    return tmp_path


def test_those_of_this_tree_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """What is committed is what the code says."""
    assert docs.check(docs.ROOT) == 0, capsys.readouterr().out


def test_a_stale_one_is_shown_with_the_remedy(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check fails with a diff of what is missing and the command that mends it, which then does."""
    stale = tree / ".env.example"
    stale.write_text(stale.read_text().replace("#REDIS_URL=\n", ""))
    (tree / "docs/lifecycle.md").unlink()
    capsys.readouterr()
    assert docs.check(tree) == 1
    said = capsys.readouterr().out
    assert "--- a/.env.example\n+++ b/.env.example\n" in said
    assert "\n+#REDIS_URL=\n" in said
    assert "not up to date: docs/lifecycle.md, .env.example. Mend it with: make docs" in said
    docs.write(tree)
    assert capsys.readouterr().out == "millstream: wrote docs/lifecycle.md\nmillstream: wrote .env.example\n"
    assert docs.check(tree) == 0


def test_every_state_and_every_move_is_told() -> None:
    """Nothing of the lifecycle is missing in its document: no row, no arrow."""
    text = docs.documents()["docs/lifecycle.md"]
    assert set(STATES) == set(Status)
    for move in MOVES.values():
        assert f"\n| `{move.event}` | " in text
        arrows = [line for line in text.splitlines() if " --> " in line and move.event in line.partition(" : ")[2].split(", ")]
        assert len(arrows) == len(move.sources) * len(move.targets)
    for status in TERMINAL:
        assert f"    {status} --> [*]\n" in text


def test_what_the_examples_say_is_the_default() -> None:
    """Whoever copies .env.example and removes every # gets the defaults, nothing else."""
    lines = docs.documents()[".env.example"].splitlines()
    given = dict(line[1:].split("=", 1) for line in lines if line.startswith(tuple(f"#{item.name}=" for item in variables())))
    assert len(given) == len([*variables()])
    assert load(given) == Settings()


def test_every_variable_is_in_the_table() -> None:
    """The table of the documentation has a row for each setting."""
    text = docs.documents()["docs/configuration.md"]
    for name in Settings.__dataclass_fields__:
        assert f"\n| `{variable(name)}` | " in text
