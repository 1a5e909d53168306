"""When to try again: 2, 4, 8 s by default."""

import random

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """How long to wait after the n-th failure. Seconds; `jitter` is the fraction that may be added at random."""

    kind: str = "exponential"
    base: float = 2.0
    factor: float = 2.0
    max: float = 3600.0
    jitter: float = 0.0


DEFAULT = Backoff()
_decode = msgspec.json.Decoder(Backoff).decode


def delay(backoff: bytes | None, failures: int) -> float:
    """Seconds to wait after so many failures (>= 1), under the job's own `backoff` (JSON) or the default."""
    policy = _decode(backoff) if backoff else DEFAULT
    return _base_delay(policy, failures) * (1.0 + random.random() * policy.jitter)


def _base_delay(policy: Backoff, failures: int) -> float:
    if policy.kind == "fixed":
        return policy.base
    try:
        return min(policy.max, policy.base * policy.factor ** (failures - 1))
    except OverflowError:
        return policy.max
