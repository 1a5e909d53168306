"""A service that does not come back is a finding; one that does not come up, and an error of the suite, are none."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos import segment
from chaos.errors import ChaosError, NotInTimeError
from chaos.journal import Journal, read
from chaos.segment import Outcome, Plan, run_segment
from chaos.world import Shape
from shared.errors import BrokerUnavailableError, DatabaseUnavailableError
from shared.settings import Settings

PLAN = Plan(seed=1, theme="none", faults=(), seconds=0.05, rate=40.0, shape=Shape(), patience=0.2)


class FakeWorld:
    """Where nothing is: no processes, no jobs. Each `broken` part does what it is given instead."""

    def __init__(self, folder: Path, journal: Journal, broken: dict[str, Exception]) -> None:
        self.settings = Settings()
        self.journal = journal
        self.broken = broken
        self.recording = folder / "recording.jsonl"
        self.members: list[Any] = []
        self.hook_url = ""
        letters = SimpleNamespace(all=self._letters)
        self.client = SimpleNamespace(
            numbers=itertools.count(), put_schedule=self._scheduled, recent=[], number=lambda: 1, submit=self._none
        )
        self.broker = SimpleNamespace(consumers=self._consumers, depths=self._depths, letters=letters)
        self.database = SimpleNamespace(fetch=self._fetch, fetch_value=self._none)

    def _break(self, part: str) -> None:
        if part in self.broken:
            raise self.broken[part]

    async def keep(self) -> None:
        """Have nothing to do."""
        await asyncio.sleep(3600)

    async def heal(self) -> None:
        """Have nothing to heal."""
        self._break("heal")

    async def stop_members(self) -> None:
        """Have none."""

    def alive(self) -> list[Any]:
        """Return none."""
        return []

    def fallen(self) -> list[str]:
        """Return what the last words of one would be."""
        return ["producer-1 ended with 1: the port is taken"] if "heal" in self.broken else []

    def mark_recording(self) -> None:
        """End the recording."""
        self.recording.write_text('{"e":"mark"}\n')

    async def _letters(self) -> AsyncIterator[Any]:
        self._break("letters")
        none: list[Any] = []
        for letter in none:
            yield letter

    async def _taken(self, *_: object, **__: object) -> list[str]:
        return ["job"]

    async def _scheduled(self, *_: object) -> None:
        self._break("schedule")

    async def _consumers(self) -> set[str]:
        return set()

    async def _depths(self) -> dict[str, int]:
        return {"normal": 3} if "heal" in self.broken else {}

    async def _fetch(self, query: str) -> list[Any]:
        if "FROM jobs\n" in query:
            self._break("rows")
        return []

    async def _none(self, *_: object, **__: object) -> Any:
        return None


async def ran(monkeypatch: pytest.MonkeyPatch, folder: Path, **broken: Exception) -> Outcome:
    """Run a segment in such a world."""

    @asynccontextmanager
    async def standing(_servers: object, folder: Path, journal: Journal, *_: object, **__: object) -> AsyncIterator[Any]:
        yield FakeWorld(folder, journal, broken)

    monkeypatch.setattr(segment, "standing", standing)
    monkeypatch.setattr(segment, "ASKED_SECONDS", 0.2)
    servers: Any = None
    return await run_segment(servers, PLAN, folder / "segment")


def told(outcome: Outcome) -> list[tuple[int, str]]:
    """Number and text of each finding."""
    return [(finding.number, finding.what) for finding in outcome.findings]


async def test_what_comes_back_is_no_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is broken in this world."""
    assert told(await ran(monkeypatch, tmp_path)) == []


async def test_a_service_that_does_not_come_back_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of invariant 1 alone, with the state in which it was left; the journal has it too."""
    outcome = await ran(monkeypatch, tmp_path, heal=NotInTimeError(60, "all processes run again"))
    what = "the service did not come back within 60 s: all processes run again; producer-1 ended with 1: the port is taken"
    assert told(outcome) == [(1, f"{what}; entries in normal: 3")]
    assert [event["what"] for event in read(tmp_path / "segment" / "journal.jsonl") if event["e"] == "stranded"] == [
        f"{what}; entries in normal: 3"
    ]


async def test_a_store_that_is_away_after_the_healing_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever asks it."""
    [(number, what)] = told(await ran(monkeypatch, tmp_path, letters=BrokerUnavailableError("Redis is unavailable")))
    assert (number, what.partition(";")[0]) == (1, "the service did not come back: Redis is unavailable")


async def test_rows_that_cannot_be_read_are_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not one for each job that was accepted: none of them can be judged."""
    outcome = await ran(monkeypatch, tmp_path, rows=DatabaseUnavailableError("PostgreSQL is unavailable"))
    assert told(outcome) == [(1, "the rows cannot be read: PostgreSQL is unavailable")]


async def test_a_service_that_takes_no_schedule_has_not_come_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing was broken by then."""
    with pytest.raises(ChaosError, match="did not come up: PostgreSQL is unavailable"):
        await ran(monkeypatch, tmp_path, schedule=DatabaseUnavailableError("PostgreSQL is unavailable"))


async def test_an_error_of_the_suite_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not in a group, and not as a finding."""
    with pytest.raises(ZeroDivisionError):
        await ran(monkeypatch, tmp_path, heal=ZeroDivisionError())
