"""docs/cli.md is written by hand: at least it must not forget a command or an option."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from cli.__main__ import _parser

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that does something, with its parser."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield path, parser
    for action in below:
        for name, child in action.choices.items():
            yield from commands(child, f"{path} {name}".strip())


def test_every_command_and_option_is_documented() -> None:
    """Whoever adds one is reminded."""
    known = dict(commands(_parser()))
    assert len(known) > 20
    for path, parser in known.items():
        group, _, name = path.rpartition(" ")
        assert re.search(rf"`{path}\b", TEXT) or (f"`{group} " in TEXT and re.search(rf"`{name} NAME", TEXT)), path
        for option in (
            option for action in parser._actions for option in action.option_strings if option not in {"-h", "--help", "--check"}
        ):
            assert option in TEXT, (path, option)
