"""Bodies that are not jobs: from bytes to a struct, and from what msgspec says about a bad one to a problem document."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from producer.problems import ProblemError, invalid

T = TypeVar("T")

_AT = re.compile(r"^(.*) - at `(?:key in )?\$(.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(.*)`$", re.DOTALL)


def decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    """Return what the body holds. Raises ProblemError: 400 when it is no JSON, 422 with a pointer when it has the wrong shape."""
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise _refused(str(error)) from error
    except RecursionError as error:
        raise ProblemError(400, "the JSON is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ProblemError(400, "the body is not UTF-8") from error
    except msgspec.DecodeError as error:
        raise ProblemError(400, f"malformed JSON: {error}") from error


def _refused(sentence: str) -> ProblemError:
    found = _AT.match(sentence)
    detail, path = found.groups() if found else (sentence, "")
    steps = [name or index for name, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path.replace("[...]", ""))]
    if unknown := _UNKNOWN.search(detail):
        steps.append(unknown[1].replace("~", "~0").replace("/", "~1"))
    return invalid(detail, "".join(f"/{step}" for step in steps))
