"""`python -m chaos` with the handlers of a user."""

import os
import subprocess
import sys
import time
from pathlib import Path

import orjson
import psutil
import pytest

MODULE = """
import asyncio
from shared.jobs import job

@job("mine.order")
async def order(ctx, payload: dict) -> dict:
    await asyncio.sleep(0.1)
    try:
        raise ValueError("a trouble of its own")
    except ValueError:
        ctx.log.exception("order_in_trouble")
    return {"done": payload["id"]}
"""


STARTS_ONCE = """
from pathlib import Path

if Path(__file__).with_name("out").joinpath("segment-0000", "journal.jsonl").read_text().count('"struck"'):
    raise SystemExit("it cannot start again")
"""


def chaos(folder: Path, *words: str, module: str = MODULE) -> "subprocess.CompletedProcess[str]":
    """Run it with the module in the folder."""
    (folder / "mine.py").write_text(module)
    argv = [sys.executable, "-m", "chaos", "--seed", "1", "--seconds", "1", "--load-seconds", "5", "--output", str(folder / "out"), *words]
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(argv, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=240, check=False)


def test_handlers_and_settings_of_a_user(tmp_path: Path) -> None:
    """Their consumers are killed, and nothing is lost; table, figures and timeline say so. What handlers log is their affair."""
    lease = ["--set", "MILLSTREAM_LEASE_SECONDS=3", "--set", "MILLSTREAM_HEARTBEAT_SECONDS=1"]
    done = chaos(tmp_path, "--handlers", "mine", "--job", "mine.order", '{"id": 7}', "--faults", "consumer.kill", *lease)
    assert done.returncode == 0, done.stdout + done.stderr
    result = orjson.loads((tmp_path / "out" / "result.json").read_bytes())
    assert result["findings"] == []
    assert result["figures"]["accepted"] > 20
    assert result["figures"]["lost"] == 0
    assert result["figures"]["injected"]["SIGKILL"] >= 1
    assert "Every invariant held." in done.stdout
    assert "<svg" in (tmp_path / "out" / "timeline.html").read_text()
    assert '"mine.order"' in (tmp_path / "out" / "segment-0000" / "consumer-3.log").read_text(), "its types, as the consumer logs them"
    assert "Traceback" in (tmp_path / "out" / "segment-0000" / "consumer-3.log").read_text()


def test_a_service_that_does_not_come_back_is_a_finding(tmp_path: Path) -> None:
    """Not an error of the suite: there is a report, which says what was waited for, and who does not run."""
    words = ["--handlers", "mine", "--job", "mine.order", '{"id": 7}', "--faults", "consumer.kill.all", "--patience", "8"]
    done = chaos(tmp_path, *words, module=STARTS_ONCE + MODULE)
    assert done.returncode == 1, done.stdout + done.stderr
    [[segment, finding]] = orjson.loads((tmp_path / "out" / "result.json").read_bytes())["findings"][:1]
    assert (segment, finding["number"]) == (0, 1)
    assert "did not come back within 8 s: all processes serve again" in finding["what"]
    assert "it cannot start again" in finding["what"]
    assert "did not come back" in (tmp_path / "out" / "result.md").read_text()


def test_told_to_end_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """Servers that are frozen at that moment, small file systems, its folder: all of that is gone."""
    argv = [sys.executable, "-m", "chaos", "--seed", "1", "--faults", "postgres.freeze,redis.freeze", "--output", str(tmp_path / "out")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        journal = tmp_path / "out" / "segment-0000" / "journal.jsonl"
        await_line(journal, '"struck"')
        family = psutil.Process(running.pid).children(recursive=True)
        running.terminate()
        said, _ = running.communicate(timeout=60)
    assert (running.returncode, said.count("Traceback")) == (130, 0), said
    assert "nothing was judged" in said
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert not [*tmp_path.glob("chaos-*")]


def await_line(file: Path, sign: str, seconds: float = 60) -> None:
    """Wait until the file has it."""
    until = time.monotonic() + seconds
    while not (file.exists() and sign in file.read_text()):
        assert time.monotonic() < until, f"no {sign} in {file}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--handlers", "nosuch", "--job", "mine.order", "{}"], "cannot import 'nosuch'"),
        (["--handlers", "mine", "--job", "mine.odrer", "{}"], "mine.order"),
        (["--set", "MILLSTREAM_LEASE_SECONDS=soon"], "MILLSTREAM_LEASE_SECONDS"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    """Without a traceback, before anything is broken."""
    done = chaos(tmp_path, *words)
    assert done.returncode == 69, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
