"""The benchmark's command line."""

from pathlib import Path

import pytest

from loadtest.figures import FIGURES
from loadtest.options import parse
from loadtest.sizes import FULL, QUICK

OUTPUT = Path("results.json")


def test_without_arguments_everything_is_measured() -> None:
    """Five rounds of every figure, with every peer."""
    options = parse([], OUTPUT)
    assert (options.rounds, options.sizes, options.output) == (5, FULL, OUTPUT)
    assert options.figures == tuple(FIGURES.values())
    assert {peer.name for peer in options.peers} >= {"bullmq", "arq"}


def test_a_run_can_be_cut_down() -> None:
    """Rounds, figures, peers, amounts and settings."""
    options = parse(
        ["--rounds", "2", "--only", "drain1,submit", "--no-peers", "--quick", "--env", "MILLSTREAM_CONCURRENCY=10"],
        OUTPUT,
    )
    assert [figure.name for figure in options.figures] == ["drain1", "submit"]
    assert (options.rounds, options.peers, options.sizes) == (2, (), QUICK)
    assert options.settings == {"MILLSTREAM_CONCURRENCY": "10"}


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["--only", "drain9"], "unknown: drain9; known: drain1, "),
        (["--peers", "nobody"], "unknown: nobody"),
        (["--rounds", "0"], "at least 1"),
        (["--env", "PATH=/"], "MILLSTREAM_"),
    ],
)
def test_a_bad_argument_is_named(argv: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 with what is wrong and what is known."""
    with pytest.raises(SystemExit) as caught:
        parse(argv, OUTPUT)
    assert caught.value.code == 2
    assert why in capsys.readouterr().err
