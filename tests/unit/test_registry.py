"""The registry: which types a process can run, and what it publishes about them."""

import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from consumer.registry import Registry, load
from shared.catalog import TypeDescription
from shared.errors import ConfigError
from shared.jobs import registered
from shared.settings import Settings

BUILT_IN = {"csv.generate", "email.send", "image.resize", "notification.send", "report.generate", "web.scrape", "webhook.deliver"}
TEST_TYPES = {"test.noop", "test.sleep", "test.fail", "test.crash", "test.hang", "test.burn"}


def described(registry: Registry, name: str) -> TypeDescription:
    return next(description for description in registry.describe() if description.type == name)


def is_valid(name: str, payload: Any) -> bool:
    validator = jsonschema_rs.Draft202012Validator(dict(described(load(Settings(test_types=True)), name).schema))
    return validator.is_valid(payload)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder to the test, and forget afterwards what its modules registered."""
    load(Settings(test_types=True))  # these are imported once a process: they must not be forgotten
    monkeypatch.setattr("shared.jobs._registered", registered())
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_built_in_types() -> None:
    """Without settings a process runs the built-in types, and none of those that misbehave on purpose."""
    assert set(load(Settings()).types()) >= BUILT_IN
    assert TEST_TYPES.isdisjoint(load(Settings()).types())


def test_the_test_types_come_on_demand() -> None:
    """With test_types a process also runs test.*; one that was not told so does not, whatever was imported before."""
    assert set(load(Settings(test_types=True)).types()) >= BUILT_IN | TEST_TYPES
    assert TEST_TYPES.isdisjoint(load(Settings()).types())


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("email.send", "email.send"),
        ("EMAIL", "email.send"),
        ("EMAIL_SEND", "email.send"),
        ("sendEmail", "email.send"),
        ("welcome-email", "email.send"),
        ("csv-generation", "csv.generate"),
        ("resizeImage", "image.resize"),
        ("generateReport", "report.generate"),
        ("scrapeWebsite", "web.scrape"),
        ("sendNotification", "notification.send"),
    ],
)
def test_a_type_is_found_by_its_aliases(name: str, type_: str) -> None:
    """A type answers to its name and to every alias."""
    handler = load(Settings()).find(name)
    assert handler is not None
    assert handler.type == type_


def test_an_unknown_type_is_not_found() -> None:
    """Nobody answers to a name that no handler claims."""
    assert load(Settings()).find("no.such.type") is None


def test_modules_of_the_user(modules: Path) -> None:
    """A module in the current folder is imported; its type is published with its schema and its own defaults."""
    (modules / "my_handlers_a.py").write_text(
        "import msgspec\n"
        "from shared.jobs import job\n"
        "class Thumbnail(msgspec.Struct, forbid_unknown_fields=True):\n"
        "    url: str\n"
        "    width: int = 320\n"
        "@job('thumbnail', aliases=('thumb',), timeout=30, backoff={'kind': 'fixed', 'base': 5})\n"
        "def thumbnail(ctx, payload: Thumbnail): ...\n"
    )
    registry = load(Settings(handlers=("my_handlers_a",)))
    assert BUILT_IN | {"thumbnail"} <= set(registry.types())
    description = described(registry, "thumbnail")
    assert description.aliases == ("thumb",)
    assert description.defaults == {"timeout": 30, "backoff": {"kind": "fixed", "base": 5}}
    assert description.schema["$defs"]["Thumbnail"]["additionalProperties"] is False
    assert description.schema["$defs"]["Thumbnail"]["required"] == ["url"]


def test_bad_modules_are_all_named(modules: Path) -> None:
    """Modules that are missing, broken, rude or claim a taken type are named together, each with the reason."""
    (modules / "my_handlers_broken.py").write_text("raise RuntimeError('no licence')\n")
    (modules / "my_handlers_rude.py").write_text("raise SystemExit(3)\n")
    (modules / "my_handlers_rival.py").write_text("from shared.jobs import job\n@job('csv.generate')\ndef other(ctx, payload): ...\n")
    names = ("my_handlers_missing", "my_handlers_broken", "my_handlers_rude", "my_handlers_rival")
    with pytest.raises(ConfigError) as caught:
        load(Settings(handlers=names))
    for name, reason in zip(names, ("No module named", "no licence", "SystemExit: 3", "two handlers claim"), strict=True):
        assert any(name in problem and reason in problem for problem in caught.value.problems)


def test_a_payload_without_a_schema_is_named(modules: Path) -> None:
    """A payload type that JSON cannot describe is a problem of the settings, told at start-up."""
    (modules / "my_handlers_odd.py").write_text(
        "from shared.jobs import job\nclass Odd: ...\n@job('odd')\ndef odd(ctx, payload: Odd): ...\n"
    )
    with pytest.raises(ConfigError, match="odd"):
        load(Settings(handlers=("my_handlers_odd",)))


def test_every_schema_is_one() -> None:
    """What is published is JSON Schema 2020-12, and the defaults name nothing that is unset."""
    for description in load(Settings(test_types=True)).describe():
        assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **description.schema})
        assert None not in description.defaults.values()


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("csv.generate", {"any": ["thing"]}, True),
        ("csv.generate", [], False),
        ("test.noop", {"any": "thing"}, True),
        ("test.sleep", {"seconds": 0.5}, True),
        ("test.sleep", {"seconds": -1}, False),
        ("test.sleep", {"seconds": 86_401}, False),
        ("test.sleep", {"second": 1}, False),
        ("test.hang", {"any": "thing"}, False),
        ("test.crash", {}, True),
        ("test.fail", {"message": "oh", "times": 2}, True),
        ("test.fail", {"times": 1.5}, False),
        ("email.send", {"to": "a@x.org", "subject": "Hi", "body": "Ho"}, True),
        ("email.send", {"to": ["a@x.org"], "subject": "Hi", "html": "Ho", "cc": "b@x.org"}, True),
        ("email.send", {"to": "nobody", "subject": "Hi"}, False),
        ("email.send", {"to": [], "subject": "Hi"}, False),
        ("email.send", {"to": ["a@x.org"] * 51, "subject": "Hi"}, False),
        ("email.send", {"subject": "Hi"}, False),
        ("email.send", {"to": "a@x.org", "subject": "Hi\r\nBcc: b@x.org"}, False),
        ("email.send", {"to": "a@x.org\n", "subject": "Hi"}, False),
        ("email.send", {"to": "a@x.org", "subject": "x" * 999}, False),
        ("email.send", {"to": "a@x.org", "subject": "Hi", "bcc": "b@x.org"}, False),
        ("web.scrape", {"url": "HTTPS://example.org"}, True),
        ("web.scrape", {"url": "file:///etc/passwd"}, False),
    ],
)
def test_what_the_api_will_let_through(name: str, payload: Any, expected: bool) -> None:
    """The published schema already refuses what the handler would refuse, where a schema can say it."""
    assert is_valid(name, payload) is expected
