"""The statements of `make chaos-mutants` are wrong by what they do, not by their grammar: PostgreSQL would refuse that at once."""

import subprocess
import sys

import asyncpg
import orjson
import pytest

from shared.settings import Settings

CHANGED = """
import os, sys
import orjson
from chaos.mutants.mistakes import MISTAKES
from chaos.mutants.mistakes.mistake import QUERIES

before = [dict(queries) for queries in QUERIES]
for name, mistake in MISTAKES.items():
    if not os.fork():  # a mistake changes them for good
        mistake.make()
        texts = [text for old, now in zip(before, QUERIES) for query, text in now.items() if text != old[query]]
        print(orjson.dumps([name, texts]).decode(), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def changed() -> dict[str, list[str]]:
    """The texts that each mistake changes, by its name."""
    done = subprocess.run([sys.executable, "-c", CHANGED], capture_output=True, text=True, check=True, timeout=120)
    return {name: texts for name, texts in map(orjson.loads, done.stdout.splitlines()) if texts}


async def test_what_is_changed_can_be_prepared(settings: Settings, changed: dict[str, list[str]]) -> None:
    """With a type for every parameter."""
    connection = await asyncpg.connect(settings.database_url)
    for texts in changed.values():
        for text in texts:
            await connection.prepare(text)
    await connection.close()
    assert {"no-fence", "no-fence-of-failures", "leases-end-late"} < {*changed}


def test_a_statement_is_changed_wherever_it_is_loaded(changed: dict[str, list[str]]) -> None:
    """Jobs are replayed one by one, and by many."""
    one, many = changed["attempt-reset-on-replay"]
    assert one == many
