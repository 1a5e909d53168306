"""What a consumer publishes about a job type, so that the producer can validate payloads without the handler's code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TypeDescription"]


@dataclass(frozen=True, kw_only=True)
class TypeDescription:
    """One row of the table `job_types`. `schema` and `defaults` hold JSON values only."""

    type: str
    aliases: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)  # JSON Schema 2020-12 of the payload
    defaults: Mapping[str, Any] = field(default_factory=dict)  # timeout (s), max_attempts, backoff: what the type sets
