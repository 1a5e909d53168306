"""The environment variables as people see them, out of the metadata of `Settings`."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from shared.settings import Settings, variable


class Variable(NamedTuple):
    """One of them. `default` is written as it would be in the environment; empty: unset."""

    name: str
    default: str
    meaning: str


def variables() -> Iterator[Variable]:
    """Every variable, in the order of the fields."""
    for item in fields(Settings):
        yield Variable(variable(item.name), _written(item.default), item.metadata["doc"])


def _written(value: Any) -> str:
    match value:
        case bool():
            return "1" if value else "0"
        case float():
            return f"{value:.12g}"
        case tuple():
            return ",".join(value)
        case Path():
            return value.as_posix()
        case _:
            return str(value)
