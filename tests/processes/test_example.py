"""The example application, as its README says: a real consumer imports it, jobs come over HTTP."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.support.eventually import eventually
from tests.support.stack import ROOT, Stack

README = ROOT / "examples/shop/README.md"
MODULE = "examples.shop.handlers"


def bodies() -> dict[str, Any]:
    """Return the bodies of the README's calls, by type."""
    commands = [shlex.split(text) for text in re.findall(r"^curl[^\n]*\\\n[^\n]*", README.read_text(), re.MULTILINE)]
    found = [msgspec.json.decode(words[words.index("-d") + 1]) for words in commands]
    return {body["type"]: body for body in found}


async def test_the_calls_of_the_readme(stack: Stack) -> None:
    """Each of the three is accepted and completes, in the loop, in a thread and in a process, with the result that its code promises."""
    await stack.up(handlers=(MODULE,))
    query = "SELECT count(*) FROM job_types WHERE type LIKE 'shop.%'"
    await eventually(lambda: stack.database.fetch_value(query), what="the types of the shop")
    results = {}
    for kind, body in bodies().items():
        _, answer = await stack.post("/jobs", body, expect=202)
        await eventually(lambda answer=answer: _completed(stack, answer["id"]), what=kind)  # type: ignore[misc]
        results[kind] = msgspec.json.decode((await stack.row(answer["id"]))["result"])
    path = Path(results["shop.invoice"].pop("path"))
    assert "2 x tea" in (ROOT / path).read_text()
    assert results == {
        "shop.reserve": {"tea": 2},
        "shop.invoice": {"total": 9.0},
        "shop.bought_together": {"baskets": 2, "pairs": [["cup", "tea", 2]]},
    }
    await stack.check_promise()


def test_its_own_tests() -> None:
    """Those that an author would write, run as the README says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/shop"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_the_readme_names_what_is_there() -> None:
    """Every type of the module is in the README's table and has a call; the module is the one that the command names."""
    text = README.read_text()
    declared = re.findall(r'^@job\("([^"]+)"', (ROOT / "examples/shop/handlers.py").read_text(), re.MULTILINE)
    assert set(declared) == set(bodies())
    assert all(f"| `{kind}` |" in text for kind in declared)
    assert f"MILLSTREAM_HANDLERS={MODULE} make run" in text


async def _completed(stack: Stack, job_id: str) -> bool:
    return bool((await stack.row(job_id))["state"] == "COMPLETED")
