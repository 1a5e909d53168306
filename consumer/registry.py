"""Which job types this process can run: the built-in ones, the test types when allowed, and the user's own modules."""

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from shared.catalog import TypeDescription
from shared.errors import ConfigError
from shared.jobs import Handler, registered
from shared.settings import Settings

__all__ = ["Registry", "load"]

BUILT_IN = (
    "consumer.handlers.csv_generate",
    "consumer.handlers.email_send",
    "consumer.handlers.image_resize",
    "consumer.handlers.notification_send",
    "consumer.handlers.report_generate",
    "consumer.handlers.web_scrape",
    "consumer.handlers.webhook_deliver",
)
TEST_TYPES = "consumer.handlers.test_types"


@dataclass(frozen=True)
class Registry:
    """The handlers of this process, by type."""

    handlers: Mapping[str, Handler]
    descriptions: tuple[TypeDescription, ...]  # in the order of `types()`

    def types(self) -> list[str]:
        """Every type that this process can run, sorted; without aliases."""
        return sorted(self.handlers)

    def find(self, name: str) -> Handler | None:
        """Return the handler of a type or of an alias; None when nobody claims it."""
        by_alias = (known for known in self.handlers.values() if name in known.aliases)
        return self.handlers.get(name) or next(by_alias, None)

    def describe(self) -> list[TypeDescription]:
        """Return what to publish, so that the producer accepts these types and refuses payloads that do not fit."""
        return list(self.descriptions)


def load(settings: Settings) -> Registry:
    """Import the modules with handlers and return what they declare.

    Raises ConfigError that names every module which cannot be imported and every payload type without a JSON Schema.
    """
    _make_current_folder_importable()
    wanted = (*BUILT_IN, *([TEST_TYPES] if settings.test_types else []), *settings.handlers)
    problems = [problem for module in wanted if (problem := _import(module))]
    handlers = _chosen(settings)
    descriptions = []
    for handler in handlers.values():
        try:
            descriptions.append(_describe(handler))
        except TypeError as error:
            problems.append(f"job type {handler.type!r}: its payload has no JSON Schema: {error}")
    if problems:
        raise ConfigError(problems)
    return Registry(MappingProxyType(handlers), tuple(descriptions))


def _make_current_folder_importable() -> None:
    # `python -m` does it, a console script does not. Last, so that a stray file never hides an installed package.
    here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if not {"", here} & set(sys.path):
        sys.path.append(here)


def _import(module: str) -> str:
    """Import a module; return what went wrong, or an empty string."""
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code: whatever it raises, they must see which module
        return f"MILLSTREAM_HANDLERS: cannot import {module!r}: {type(error).__name__}: {error}"
    return ""


def _chosen(settings: Settings) -> dict[str, Handler]:
    # Whoever imported the test types (a test, a tool) must not thereby have enabled a type that kills its consumer.
    return {
        name: handler for name, handler in sorted(registered().items()) if settings.test_types or handler.function.__module__ != TEST_TYPES
    }


def _describe(handler: Handler) -> TypeDescription:
    backoff = None if handler.backoff is None else dict(handler.backoff)
    defaults = {"timeout": handler.timeout, "max_attempts": handler.max_attempts, "backoff": backoff}
    return TypeDescription(
        type=handler.type,
        aliases=handler.aliases,
        schema=handler.schema(),
        defaults=msgspec.to_builtins({name: value for name, value in defaults.items() if value is not None}),
    )
