"""The child's end: `python -m consumer.sandbox.child MODULE`. Runs `MODULE.main(request, data)` and tells what it yields.

In: a line of JSON (`request`, `seconds`, `memory_bytes`), then `data` to the end. Out: lines of JSON, each with one of the keys
`item`, `error` and `done`; a child that ends without the last two was killed.
"""

import json
import os
import resource
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import IO, Any


def serve() -> None:
    """Answer the one request on standard input."""
    order = json.loads(sys.stdin.buffer.readline())
    _limit(order["seconds"], order["memory_bytes"])
    with _answers() as answers:
        try:
            for item in import_module(sys.argv[1]).main(order["request"], sys.stdin.buffer.read()):
                _tell(answers, {"item": item})
            _tell(answers, {"done": True})
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent wants to hear of it
            _tell(answers, {"error": f"{type(error).__name__}: {error}"[:1000], "is_memory": isinstance(error, MemoryError)})


def _limit(seconds: float, memory_bytes: int) -> None:
    whole = max(1, int(seconds + 0.999))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
    with suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    signal.alarm(whole + 5)  # should the parent be gone and the child wait for something


def _answers() -> IO[str]:
    """Take standard output for the answers alone: what a library prints goes nowhere."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return os.fdopen(kept, "w", encoding="utf-8")


def _tell(answers: IO[str], what: dict[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    serve()
