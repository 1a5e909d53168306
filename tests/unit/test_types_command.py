"""`python -m consumer --types`: are the handlers in order, without any server."""

import pytest

from consumer.types_command import print_types


def test_types_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One a line, exit code 0; the test types only where they are wanted."""
    assert print_types() == 0
    assert {"csv.generate", "email.send"} <= set(capsys.readouterr().out.split("\n"))
    monkeypatch.setenv("MILLSTREAM_TEST_TYPES", "1")
    assert print_types() == 0
    assert "test.noop\n" in capsys.readouterr().out


def test_what_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every module, each with its reason; exit code 2. A bad setting is said in the same way."""
    monkeypatch.setenv("MILLSTREAM_HANDLERS", "no_such_a,no_such_b")
    assert print_types() == 2
    said = capsys.readouterr()
    assert [line.split(":")[2].strip() for line in said.err.splitlines()] == ["cannot import 'no_such_a'", "cannot import 'no_such_b'"]
    assert said.out == ""
    monkeypatch.setenv("MILLSTREAM_PROCESSES", "1001")
    assert print_types() == 2
    assert "MILLSTREAM_PROCESSES='1001': must be from 0 to 1000" in capsys.readouterr().err
