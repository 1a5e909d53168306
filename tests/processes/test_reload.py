"""`millstream up --reload`: a saved handler runs a moment later, a broken one changes nothing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually_sync
from tests.support.folders import reachable_folder
from tests.support.running_up import RunningUp

GOOD = """
import time
from shared.jobs import job

@job("word")
def word(ctx, payload):
    time.sleep(payload.get("seconds", 0))
    return "{word}"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that servers can use whoever runs the tests."""
    with reachable_folder() as path:
        yield path


def submitted(up: RunningUp, **payload: Any) -> str:
    """Return the id of a job of our type."""
    return str(up.call("/jobs", {"type": "word", "payload": payload})["id"])


def said(up: RunningUp, event: str, times: int = 1) -> None:
    """Wait until the supervisor or a consumer has said that so many times."""
    eventually_sync(lambda: up.log.read_text().count(f'"{event}"') >= times, 30, f"{event} for the {times}th time")


def test_what_is_saved_is_what_runs(folder: Path) -> None:
    """Saved: new jobs run the new code, running ones end in the old. Broken: one line, the old code goes on. Mended: the newest runs."""
    module = folder / "reloaded_handlers.py"
    module.write_text(GOOD.format(word="one"))
    with RunningUp(folder, "--reload", MILLSTREAM_HANDLERS="reloaded_handlers", PYTHONPATH=str(folder)) as up:
        said(up, "consumer_started")
        first = up.child("-m consumer")
        assert up.completed(submitted(up))["result"] == "one"

        running = submitted(up, seconds=2)
        eventually_sync(lambda: up.call(f"/jobs/{running}")["status"] == "PROCESSING", 10, "a running job")
        module.write_text(GOOD.format(word="two"))
        said(up, "consumer_started", times=2)
        old = up.completed(running)
        assert (old["result"], old["attempts"]) == ("one", 1)
        second = up.child("-m consumer")
        assert second.pid != first.pid
        assert up.completed(submitted(up))["result"] == "two"

        module.write_text("def broken(:\n")
        said(up, "reload_refused")
        assert up.completed(submitted(up))["result"] == "two"
        assert up.child("-m consumer").pid == second.pid
        [line] = [line for line in up.log.read_text().splitlines() if "reload_refused" in line]
        assert "reloaded_handlers" in line
        assert "SyntaxError" in line

        module.write_text(GOOD.format(word="six"))
        said(up, "consumer_started", times=3)
        assert up.completed(submitted(up))["result"] == "six"
        began = time.monotonic()
        (folder / "other_module.py").touch()
        eventually_sync(lambda: time.monotonic() - began > 1, 5)
        assert up.log.read_text().count('"handlers_changed"') == 3, "other files are not watched"


def test_a_start_with_a_broken_module(folder: Path) -> None:
    """Everything else runs, the consumer says what is wrong and is not tried again and again; once that is mended it starts."""
    module = folder / "broken_handlers.py"
    module.write_text("import no_such_module\n")
    with RunningUp(folder, MILLSTREAM_RELOAD="1", MILLSTREAM_HANDLERS="broken_handlers", PYTHONPATH=str(folder)) as up:
        said(up, "process_waits_to_be_mended")
        module.write_text(GOOD.format(word="mended"))
        said(up, "consumer_started")
        eventually_sync(lambda: "word" in up.log.read_text(), 10, "the type in the log")
        assert up.completed(submitted(up))["result"] == "mended"
        assert up.log.read_text().count("cannot import 'broken_handlers': ModuleNotFoundError") == 1
