"""Loads the named queries of shared/sql/*.sql: `-- name: x` begins one, the rest up to the next name is its text."""

import re
from importlib.resources import files

_HEAD = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(file: str) -> dict[str, str]:
    """Return the queries of shared/sql/`file`.sql by name, in the order of the file."""
    text = (files("shared") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _HEAD.split(text)[1:]
    return {name: body.strip().rstrip(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
