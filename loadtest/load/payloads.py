"""What the jobs are: types by weight, and the payload of each."""

import base64
import math
import random
import re
from collections.abc import Mapping, Sequence

import orjson

MOST_WEIGHTS = 1000
is_type = re.compile(r"[^\s=,]+").fullmatch


def mixed(text: str) -> dict[str, int]:
    """Return the weights of "test.noop=8,csv.generate=2", in lowest terms. Raises ValueError."""
    pairs = [item.strip().partition("=") for item in text.split(",") if item.strip()]
    weights = {kind: int(weight) for kind, _, weight in pairs if weight.isascii() and weight.isdigit() and is_type(kind)}
    if not pairs or len(weights) != len(pairs) or not 0 < min(weights.values()) <= sum(weights.values()) <= MOST_WEIGHTS:
        raise ValueError(f'{text!r}: write "test.noop=8,csv.generate=2"; weights are whole numbers, at most {MOST_WEIGHTS} in all')
    divisor = math.gcd(*weights.values())
    return {kind: weight // divisor for kind, weight in weights.items()}


def turns(weights: Mapping[str, int]) -> list[str]:
    """Return a round of types in which each has its weight, spread evenly (smooth weighted round robin, as nginx does it)."""
    whole = sum(weights.values())
    credit = dict.fromkeys(weights, 0)
    order = []
    for _ in range(whole):
        for kind, weight in weights.items():
            credit[kind] += weight
        best = max(credit, key=credit.__getitem__)
        credit[best] -= whole
        order.append(best)
    return order


def payloads(given: Sequence[str], types: Sequence[str], size: int | None) -> dict[str, bytes]:
    """Return the payload of each type as JSON, padded to `size` bytes. `given`: JSON for the only type, or TYPE=JSON. Raises ValueError."""
    chosen: dict[str, object] = {kind: {} for kind in types}
    for text in given:
        kind, value = _payload(text, types)
        chosen[kind] = value
    return {kind: orjson.dumps(value) if size is None else _padded(kind, value, size) for kind, value in chosen.items()}


def _payload(text: str, types: Sequence[str]) -> tuple[str, object]:
    named, equals, json = text.partition("=")
    if equals and is_type(named) and named not in types:
        raise ValueError(f"--payload {text!r}: {named} is none of the types of this load: {', '.join(types)}")
    if named not in types or not equals:
        named, json = types[0], text
        if len(types) > 1:
            raise ValueError(f"--payload {text!r}: write TYPE=JSON, with one of {', '.join(types)}")
    try:
        value = orjson.loads(json)
    except ValueError as error:
        raise ValueError(f"--payload {text!r}: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"--payload {text!r}: a payload is a JSON object")  # noqa: TRY004 - a value of the command line
    return named, value


def _padded(kind: str, value: object, size: int) -> bytes:
    fields = value if isinstance(value, dict) else {}
    bare = len(orjson.dumps(fields | {"padding": ""}))
    if size < bare:
        raise ValueError(f"--payload-bytes {size}: the payload of {kind} has {bare} bytes with an empty padding")
    return orjson.dumps(fields | {"padding": _noise(size - bare)})


def _noise(length: int) -> str:
    """Return text that hardly compresses, the same at every run: PostgreSQL would shrink a row of equal letters to nothing."""
    return base64.b64encode(random.Random(length).randbytes(length)).decode()[:length]
