"""The load test against a running millstream: real producer, real consumer."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.eventually import eventually
from tests.support.stack import ROOT, Stack

SECONDS = 60.0  # bounds a test that would hang, measures nothing


class Load:
    """One `python -m loadtest`, as a user starts it."""

    def __init__(self, process: asyncio.subprocess.Process, json: Path) -> None:
        self._process = process
        self._json = json

    @classmethod
    async def start(cls, stack: Stack, folder: Path, *words: str) -> "Load":
        """Start it with `words` behind the URL."""
        json = folder / "load.json"
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        command = ("-m", "loadtest", f"http://{stack.settings.host}:{stack.settings.port}", "--json", str(json), *words)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe)
        return cls(process, json)

    async def ended(self) -> tuple[int, str, str]:
        """Return its exit code and what it has printed; one that hangs is killed, which is exit code -9."""
        asyncio.get_running_loop().call_later(SECONDS, self._kill)
        out, err = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, out.decode(), err.decode()

    def _kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def found(self, code: int = 0) -> dict[str, Any]:
        """Return what it has written as JSON; it must end with `code`."""
        ended = await self.ended()
        assert ended[0] == code, ended
        found: dict[str, Any] = orjson.loads(self._json.read_bytes())
        return found

    async def says(self, text: str) -> None:
        """Wait until it has printed that."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while text not in (await self._process.stdout.readline()).decode():
                pass

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)


async def stored(stack: Stack, where: str = "true") -> int:
    """Return how many jobs PostgreSQL has."""
    return await stack.count(where)


async def load(stack: Stack, folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """Run one to its end and return what it has found."""
    return await (await Load.start(stack, folder, *words)).found(code)


async def test_every_kind_of_load_ends_with_every_job_completed(stack: Stack, tmp_path: Path) -> None:
    """Closed, open, bulk, a mix, a connection a request: as many accepted as asked for, as many COMPLETED, and PostgreSQL agrees."""
    await stack.up()
    kinds = (
        ("--count", "300", "--concurrency", "50"),
        ("--count", "100", "--rate", "400"),
        ("--count", "1100", "--bulk", "200", "--concurrency", "400"),
        ("--count", "50", "--mix", "test.noop=4,csv.generate=1", "--concurrency", "5"),
        ("--count", "40", "--concurrency", "4", "--no-keep-alive"),
        ("--count", "30", "--queue", "lane", "--priority", "high", "--payload-bytes", "5000"),
    )
    before = 0
    for words in kinds:
        found = await load(stack, tmp_path, *words)
        wanted, trials = int(words[1]), found["accepted"]["trial_jobs"]
        assert found["accepted"]["jobs"] == wanted, words
        assert found["check"]["statuses"] == {"COMPLETED": wanted + trials}, words
        assert (found["check"]["ok"], found["errors"], found["sent"]["never_sent_jobs"]) == (True, {}, 0), words
        assert await stored(stack, "status = 'COMPLETED'") == before + wanted + trials, words
        before += wanted + trials
    assert await stored(stack, "type = 'csv.generate'") == 10 + 1
    assert await stored(stack, "queue = 'lane' AND priority = 'high' AND octet_length(payload::text) = 5000") == 30 + 1


async def test_a_run_leaves_numbers_and_a_report(stack: Stack, tmp_path: Path) -> None:
    """Latencies of every request, a second by second account that adds up, and a page that needs nothing from anywhere."""
    await stack.up()
    report = tmp_path / "report.html"
    found = await load(stack, tmp_path, "--duration", "1.5", "--concurrency", "8", "--report", str(report))
    assert found["latency_ms"]["count"] == found["accepted"]["jobs"] > 0
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"] <= found["latency_ms"]["max"]
    assert found["corrected_ms"]["count"] >= found["latency_ms"]["count"]
    completed = sum(second["completed_per_second"] * second["span"] for second in found["series"])
    assert round(completed) == pytest.approx(found["accepted"]["jobs"] + 1, rel=0.01), "spans are rounded"
    assert found["check"]["drain_seconds"] >= 0
    text = report.read_text()
    assert text.count("<svg") == 4
    assert text.count('<path class="line line') == 7
    assert "http://" not in text.replace(found["url"], "").replace(f"http://127.0.0.1:{stack.settings.port}", "")
    assert "COMPLETED" in text


async def test_jobs_that_fail_are_found_and_named(stack: Stack, tmp_path: Path) -> None:
    """A fast 202 is not the end of it: exit code 1, how many, and which."""
    await stack.up()
    words = ("--type", "csv.generate", "--payload", '{"rows":[],"luck":"none"}', "--count", "3")
    found = await load(stack, tmp_path, *words, code=1)
    assert found["check"]["statuses"] == {"FAILED": 4}
    assert len(found["check"]["examples"]) == 4
    assert all("FAILED" in example and "'luck'" in example for example in found["check"]["examples"])


async def test_jobs_that_do_not_end_in_time_are_not_taken_for_completed(stack: Stack, tmp_path: Path) -> None:
    """Without a consumer nothing is run: said after --wait-seconds."""
    await stack.producer()
    found = await load(stack, tmp_path, "--count", "5", "--wait-seconds", "1", code=1)
    assert (found["check"]["ok"], found["check"]["statuses"]) == (False, {"PENDING": 6})


async def test_a_job_that_vanishes_is_missing(stack: Stack, tmp_path: Path) -> None:
    """The check asks for every single id: one that the API does not know any more is named."""
    await stack.producer()
    started = await Load.start(stack, tmp_path, "--count", "5")
    await eventually(lambda: _all_stored(stack, 6), 30, "the jobs of the load")
    [victim] = await stack.database.fetch("DELETE FROM jobs WHERE id = (SELECT max(id::text)::uuid FROM jobs) RETURNING id::text")
    await stack.consumer()
    found = await started.found(1)
    assert found["check"]["statuses"] == {"COMPLETED": 5, "missing": 1}
    assert found["check"]["examples"] == [f"{victim['id']} is unknown to the API"]


async def test_a_producer_that_dies_is_survived(stack: Stack, tmp_path: Path) -> None:
    """Errors are told by kind, what was accepted before and after is complete, and the load goes on when somebody listens again."""
    producer = await stack.producer()
    await stack.consumer()
    started = await Load.start(stack, tmp_path, "--duration", "6", "--concurrency", "20")
    await eventually(lambda: _at_least(stack, 200), 30, "some load")
    producer.kill()
    before = await stored(stack)
    await stack.producer()
    await eventually(lambda: _at_least(stack, before + 200), 30, "load after the restart")
    found = await started.found(1)
    assert {"connection lost"} <= found["errors"].keys() <= {"connection lost", "no connection: Connection refused"} | _closing(found)
    assert found["check"]["ok"], found["check"]
    assert found["unknown_outcome_requests"] == found["errors"]["connection lost"]
    assert 0 <= await stored(stack) - found["check"]["accepted"] <= found["unknown_outcome_requests"]


async def test_a_stalled_producer_cannot_hide_in_an_open_loop(stack: Stack, tmp_path: Path) -> None:
    """Stopped for more than a second, it owes every request of that second its full wait, though two connections could only ask twice."""
    producer = await stack.producer()
    words = ("--rate", "100", "--duration", "4", "--concurrency", "2", "--no-wait")
    started = await Load.start(stack, tmp_path, *words)
    await eventually(lambda: _at_least(stack, 50), 30, "some load")
    producer.stop()
    loop = asyncio.get_running_loop()
    frozen_at = loop.time()
    await eventually(lambda: loop.time() > frozen_at + 1.2, 10, "the end of the stall")
    producer.cont()
    found = await started.found()
    assert found["latency_ms"]["p90"] > 500
    assert found["service_ms"]["p90"] < 500
    assert found["sent"]["late_requests"] > 50
    assert found["accepted"]["jobs"] == 400


async def test_a_rate_that_cannot_be_kept_is_said(stack: Stack, tmp_path: Path) -> None:
    """What was due and never sent counts as never sent, and with its wait."""
    producer = await stack.producer()
    started = await Load.start(stack, tmp_path, "--rate", "200", "--duration", "2", "--concurrency", "2", "--no-wait", "--timeout", "1")
    await eventually(lambda: _at_least(stack, 20), 30, "some load")
    producer.stop()
    found = await started.found(1)
    producer.cont()
    assert found["errors"].keys() == {"timeout"}
    assert found["sent"]["never_sent_jobs"] > 50
    accepted, never = found["accepted"]["jobs"], found["sent"]["never_sent_jobs"]
    assert found["latency_ms"]["count"] == accepted + found["errors"]["timeout"] + never


async def test_ctrl_c_sums_up_and_checks_what_was_accepted(stack: Stack, tmp_path: Path) -> None:
    """Exit code 130, a check of everything so far, no traceback."""
    await stack.up()
    started = await Load.start(stack, tmp_path, "--duration", "60", "--concurrency", "10")
    await eventually(lambda: _at_least(stack, 100), 30, "some load")
    started.interrupt()
    code, out, err = await started.ended()
    found = orjson.loads((tmp_path / "load.json").read_bytes())
    assert (code, err) == (130, "")
    assert "accepted jobs are COMPLETED" in out
    assert found["check"]["statuses"] == {"COMPLETED": await stored(stack)}


async def test_ctrl_c_ends_the_waiting_as_well(stack: Stack, tmp_path: Path) -> None:
    """When everything is sent, it is the wait that one has had enough of: what is known by then is said."""
    await stack.producer()
    started = await Load.start(stack, tmp_path, "--count", "5")
    await started.says("waiting for the jobs to end")
    started.interrupt()
    found = await started.found(130)
    assert (found["check"]["statuses"], found["check"]["problem"]) == ({"PENDING": 6}, "interrupted")


async def test_json_has_standard_output_for_itself(stack: Stack, tmp_path: Path) -> None:
    """A program reads one, a person the other."""
    await stack.up()
    code, out, err = await (await Load.start(stack, tmp_path, "--count", "5", "--json", "-")).ended()
    assert (code, orjson.loads(out)["accepted"]["jobs"]) == (0, 5)
    assert "all 6 accepted jobs are COMPLETED" in err


async def test_a_second_ctrl_c_ends_at_once(stack: Stack, tmp_path: Path) -> None:
    """Though nothing has been run, and 300 s of waiting would be left."""
    await stack.producer()
    started = await Load.start(stack, tmp_path, "--duration", "60", "--concurrency", "10")
    await eventually(lambda: _at_least(stack, 100), 30, "some load")
    started.interrupt()
    await eventually(lambda: _quiet(stack), 30, "the end of the load")
    started.interrupt()
    code, out, err = await started.ended()
    assert (code, err) == (130, "")
    assert "COMPLETED" not in out


async def test_what_cannot_work_is_said_before_any_load(stack: Stack, tmp_path: Path) -> None:
    """Nobody there, an unknown type, no key, a wrong one: one sentence, one trial at most, no job."""
    code, _, err = await (await Load.start(stack, tmp_path)).ended()
    assert code == 69
    assert "nobody answers at 127.0.0.1" in err
    assert "make run" in err
    await stack.producer(api_keys=("k" * 40,))
    for words, sentence in (
        (("--api-key", "k" * 40, "--type", "test.nop"), "did you mean test.noop"),
        (("--api-key", "k" * 40, "--type", "email.send"), "a job of the type email.send is refused: HTTP 422"),
        ((), "--api-key or MILLSTREAM_API_KEY"),
        (("--api-key", "wrong"), "this key is not valid"),
    ):
        code, _, err = await (await Load.start(stack, tmp_path, *words)).ended()
        assert (code, err.count("Traceback")) == (1, 0), words
        assert sentence in err, words
    assert await stored(stack) == 0


async def test_refusals_are_told_by_kind(stack: Stack, tmp_path: Path) -> None:
    """A full backlog is 429: counted apart, with its words, and the clients wait as they are asked to."""
    await stack.producer(max_backlog=40)
    found = await load(stack, tmp_path, "--duration", "3", "--concurrency", "20", "--no-wait", code=1)
    assert found["errors"].keys() == {"HTTP 429"}
    assert "the limit is 40" in found["error_examples"]["HTTP 429"]
    assert found["errors"]["HTTP 429"] <= 20 * 3
    assert found["unknown_outcome_requests"] == 0


async def _at_least(stack: Stack, count: int) -> bool:
    return await stored(stack) >= count


async def _all_stored(stack: Stack, count: int) -> bool:
    return await stored(stack) == count


async def _quiet(stack: Stack) -> bool:
    """Whether nothing comes in any more."""
    before = await stored(stack)
    await stack.get("/jobs/stats")
    return await stored(stack) == before


def _closing(found: dict[str, Any]) -> set[str]:
    """Kinds of errors at a connection that was just being made when the producer died."""
    return {kind for kind in found["errors"] if kind.startswith("no connection: Connection reset")}
