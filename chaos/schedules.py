"""The schedules of a segment: one job a second each, by both ways to say so."""

from collections.abc import Mapping
from typing import Any

from chaos.client import OURS

WHEN: Mapping[str, Mapping[str, Any]] = {"tick": {"every": 1}, "tock": {"cron": "* * * * * *"}}


def definition(name: str) -> dict[str, Any]:
    """Return the body that makes it."""
    return {**WHEN[name], "type": f"{OURS}work", "payload": {"n": 0, "schedule": name}}
